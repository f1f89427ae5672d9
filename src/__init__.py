"""umss: separates the singers of a vocal ensemble from one recording, trained on mixtures alone.

    import umss

    result = umss.separate("choir.wav", n_singers=4)
    result.stems["singer1"], result.residual, result.f0
    result.save("separated")

Everything is loaded when it is first used; `import umss` alone loads neither PyTorch nor Lightning.
"""

import lazy_loader

if __name__ == "src":
    # In a checkout this package also goes by the name of its folder (`umss train`).
    from ._checkout import use_one_package

    use_one_package()

from .caches import provide_caches

provide_caches()

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
