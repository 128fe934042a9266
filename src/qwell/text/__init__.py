"""Text to token ids and back: tokenizer, chat template, context budget, incremental decoding."""
