__all__ = [
    "F0Contours",
    "F0Estimate",
    "IntonationMeasures",
    "SeparatedRecording",
    "Separation",
    "Separator",
    "UmssError",
    "dsp",
    "edit",
    "estimate_f0",
    "hpss",
    "load_model",
    "measure_intonation",
    "practice",
    "read_f0",
    "separate",
    "write_f0",
    "write_f0_files",
]

from . import dsp
from .api import estimate_f0, separate
from .dsp.hpss import hpss
from .editing.recording import edit
from .errors import UmssError
from .f0.contour_files import read_f0, write_f0
from .f0.contours import F0Contours
from .f0.estimate import F0Estimate
from .formats.write import write_f0_files
from .intonation.measures import IntonationMeasures, measure_intonation
from .models.loading import load_model
from .practice_file import practice
from .separated import SeparatedRecording
from .separator import Separation, Separator
