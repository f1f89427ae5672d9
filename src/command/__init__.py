"""`umss separate [OPTIONS] RECORDING...`: the command for musicians.

It has no defaults, checks or names of files of its own: its options become the settings that
`umss separate NAME=VALUE ...` takes (`umss.command.settings`), and each recording is separated by
the same function (`umss.separate_file.main`).
"""
