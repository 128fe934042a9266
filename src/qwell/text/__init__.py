"""Text to token ids and back: tokenizer, chat template, context budget, incremental decoding.

Knows nothing of weights, logits and sampling.
"""

from qwell.text.bundle import Text
from qwell.text.decoder import IncrementalDecoder
from qwell.text.template import ChatTemplate
from qwell.text.tokenizer import Tokenizer

__all__ = ["ChatTemplate", "IncrementalDecoder", "Text", "Tokenizer"]
