//! The few rules by which the demo model reads: words, sentences, overlap.

use std::collections::{BTreeMap, BTreeSet};

/// Tokens as the demo model counts them: one for each four characters begun, the usual rule
/// of thumb for English.
pub(super) fn count_tokens(text: &str) -> u64 {
    text.chars().count().div_ceil(4) as u64
}

/// Lower-case words of at least three letters or digits.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| word.chars().count() >= 3)
        .map(str::to_lowercase)
        .collect()
}

/// Sentences of running text; headings, list marks, badges and code are left out.
pub(super) fn sentences(text: &str) -> Vec<String> {
    let mut prose = String::new();
    let mut in_code = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("```") {
            in_code = !in_code;
            continue;
        }
        let decoration = ["#", "|", "[!", "[", "<", "-", "*", "="];
        if in_code || decoration.iter().any(|mark| line.starts_with(mark)) {
            prose.push('\n');
        } else if line.is_empty() {
            prose.push_str(".\n");
        } else {
            prose.push_str(line);
            prose.push(' ');
        }
    }
    split_sentences(&prose)
}

fn split_sentences(prose: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut current = String::new();
    let mut characters = prose.chars().peekable();
    while let Some(character) = characters.next() {
        current.push(character);
        let ends = matches!(character, '.' | '!' | '?' | '\n')
            && characters.peek().is_none_or(|next| next.is_whitespace());
        if ends {
            keep_sentence(&mut sentences, &current);
            current.clear();
        }
    }
    keep_sentence(&mut sentences, &current);
    sentences
}

fn keep_sentence(sentences: &mut Vec<String>, candidate: &str) {
    let sentence = candidate.split_whitespace().collect::<Vec<_>>().join(" ");
    if words(&sentence).len() >= 4 {
        sentences.push(sentence);
    }
}

/// The `most` sentences that say most of what the text repeats, in the text's own order.
pub(super) fn summary(text: &str, most: usize) -> String {
    let sentences = sentences(text);
    let mut frequency: BTreeMap<String, usize> = BTreeMap::new();
    for word in sentences.iter().flat_map(|sentence| words(sentence)) {
        *frequency.entry(word).or_default() += 1;
    }
    let score = |sentence: &str| {
        let words: BTreeSet<String> = words(sentence).into_iter().collect();
        let sum: usize = words.iter().map(|word| frequency[word]).sum();
        sum * 100 / (words.len() + 8)
    };
    let mut ranked: Vec<usize> = (0..sentences.len()).collect();
    ranked.sort_by_key(|&index| (std::cmp::Reverse(score(&sentences[index])), index));
    let mut chosen: Vec<usize> = ranked.into_iter().take(most).collect();
    chosen.sort_unstable();
    let chosen: Vec<&str> = chosen.iter().map(|&i| sentences[i].as_str()).collect();
    chosen.join(" ")
}

/// How many words of `text` share their first five letters with a word of `topic`, or belong
/// to what the demo model knows of it.
pub(super) fn overlap(text: &str, topic: &str) -> usize {
    let known: &[&str] = match topic {
        "billing" => &["invoice", "charge", "refund", "payment", "card", "price"],
        "technical" => &["error", "crash", "bug", "fail", "slow", "login", "outage"],
        "high" => &["urgent", "immediately", "today", "asap", "down"],
        "low" => &["whenever", "someday", "curious", "suggestion"],
        "positive" => &["great", "love", "thank", "excellent", "good"],
        "negative" => &["bad", "angry", "terrible", "disappointed", "poor"],
        _ => &[],
    };
    let stem = |word: &str| word.chars().take(5).collect::<String>();
    let mut stems: BTreeSet<String> = words(topic).iter().map(|word| stem(word)).collect();
    stems.extend(known.iter().map(|word| stem(word)));
    words(text)
        .iter()
        .filter(|word| stems.iter().any(|known| stem(word).starts_with(known)))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_made_of_the_text_s_own_sentences() {
        let text = "# Title\n\nRetries hide faults that pass by themselves. Cats sleep all \
                    day long. Retries with jitter keep faults from coming together.\n\n```\n\
                    let code = 1;\n```";
        assert_eq!(
            summary(text, 2),
            "Retries hide faults that pass by themselves. Retries with jitter keep faults from \
             coming together."
        );
        assert_eq!(summary("", 2), "");
    }

    #[test]
    fn overlap_finds_the_topic() {
        let ticket = "My card was charged twice, please refund one payment today, it is urgent";
        assert!(overlap(ticket, "billing") > overlap(ticket, "technical"));
        assert!(overlap(ticket, "high") > overlap(ticket, "low"));
        assert_eq!(overlap(ticket, "other"), 0);
    }

    #[test]
    fn four_characters_make_a_token() {
        assert_eq!(count_tokens(""), 0);
        assert_eq!(count_tokens("abcd"), 1);
        assert_eq!(count_tokens("äöüß!"), 2);
    }
}
