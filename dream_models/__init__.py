"""The DREAM models and the Prix Fixe framework they are made with."""

from dream_models.published import load_published

__all__ = ["load_published"]
