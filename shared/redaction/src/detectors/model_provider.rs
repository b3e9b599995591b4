use super::{Detector, has_letters_and_digits};

/// `OpenAI`'s and `OpenRouter`'s `sk-`, Anthropic's `sk-ant-`, and those of Groq, xAI, Perplexity,
/// Hugging Face and Replicate.
pub(super) const DETECTOR: Detector = Detector::secret(
    "model-provider-key",
    &["sk-", "gsk_", "xai-", "pplx-", "hf_", "r8_"],
    r"(?-u:\b)(?:sk-[A-Za-z0-9_-]{20,}|gsk_[A-Za-z0-9]{40,}|xai-[A-Za-z0-9]{40,}|pplx-[A-Za-z0-9]{40,}|hf_[A-Za-z0-9]{30,}|r8_[A-Za-z0-9]{30,})",
    has_letters_and_digits,
);
