"""A local web app to correct pitch by hand, separate again, edit and download: `umss studio`.

The server (`app`) holds no sound and decodes nothing: what is slow, or reads files of others, is
done in child processes (`child`). Everything that a person does is a line in a project's journal
(`journal`), so that nothing is lost and everything can be undone.
"""
