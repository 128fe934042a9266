"""Text to token ids and back: tokenizer, chat template, context budget, incremental decoding.

Knows nothing of weights, logits and sampling.
"""

from qwell.text.bundle import Text
from qwell.text.context import Fitted, fit
from qwell.text.decoder import IncrementalDecoder, StopStrings
from qwell.text.template import ChatTemplate
from qwell.text.tokenizer import Tokenizer
from qwell.text.tool_calls import Arguments, CallBegun, ToolCallParser

__all__ = [
    "Arguments",
    "CallBegun",
    "ChatTemplate",
    "Fitted",
    "IncrementalDecoder",
    "StopStrings",
    "Text",
    "Tokenizer",
    "ToolCallParser",
    "fit",
]
