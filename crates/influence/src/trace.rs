//! Verbatim spans that an answer shares with the training text.
//!
//! A span is maximal, at least [`SHORTEST`] tokens long, lies within one document and does not come
//! from the prompt. The computation uses integers only, so it is the same on every machine.

use std::{cmp::Ordering, collections::HashSet};

use super::suffixes::{SHORTEST, number};
use openlora_attribution::shares::SharedSpan;

/// Maximum documents named per span.
const NAMED: usize = 64;
/// Maximum occurrences examined to count documents.
const LOOKED_AT: usize = 1024;

/// The overlap of an answer with the training text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerTrace {
    pub spans: Vec<SharedSpan>,
    /// Tokens of the answer inside spans.
    pub covered: u32,
    /// Tokens of the answer.
    pub answer: u32,
}

/// A searchable text, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct TrainingCorpus<'a> {
    pub alphabet: &'a [u32],
    pub text: &'a [u16],
    pub suffixes: &'a [u32],
    pub firsts: &'a [u32],
    /// Start of each document in `text`.
    pub starts: &'a [u32],
}

impl TrainingCorpus<'_> {
    pub fn trace(&self, prompt: &[u32], answer: &[u32]) -> AnswerTrace {
        let numbers = self.numbers(prompt, answer);
        let mut trace = AnswerTrace {
            answer: answer.len() as u32,
            ..AnswerTrace::default()
        };
        let mut start = 0;
        for part in numbers.split(|number| *number == 0) {
            self.spans(part, start, &mut trace);
            start += part.len() + 1;
        }
        trace
    }

    /// The numbers of the answer's tokens; 0 for tokens that are unknown or copied from the prompt.
    pub fn numbers(&self, prompt: &[u32], answer: &[u32]) -> Vec<u16> {
        let numbers = answer.iter().zip(given(prompt, answer));
        let numbers = numbers.map(|(token, given)| match given {
            true => 0,
            false => number(self.alphabet, *token).unwrap_or(0),
        });
        numbers.collect()
    }

    /// Spans within a sequence of known tokens that starts at `offset` of the answer.
    fn spans(&self, part: &[u16], offset: usize, trace: &mut AnswerTrace) {
        let mut reached = 0;
        for start in 0..part.len().saturating_sub(SHORTEST - 1) {
            let wanted = &part[start..];
            let length = self.longest(wanted);
            let end = start + length;
            if length < SHORTEST || end <= reached {
                continue;
            }
            trace.covered += (end - reached.max(start)) as u32;
            reached = end;
            let (documents, examples) = self.documents(&wanted[..length]);
            trace.spans.push(SharedSpan {
                start: (offset + start) as u32,
                tokens: length as u32,
                documents,
                examples,
            });
        }
    }

    /// Suffixes that start with this token.
    fn bucket(&self, number: u16) -> &[u32] {
        let number = usize::from(number);
        match (self.firsts.get(number - 1), self.firsts.get(number)) {
            (Some(from), Some(to)) => &self.suffixes[*from as usize..*to as usize],
            _ => &[],
        }
    }

    /// The length of the longest prefix of the wanted tokens that occurs: the best match is next to
    /// the position where they would be inserted.
    fn longest(&self, wanted: &[u16]) -> usize {
        let bucket = self.bucket(wanted[0]);
        let at = bucket.partition_point(|place| self.compare(*place, wanted).0 == Ordering::Less);
        let beside = [at.checked_sub(1), Some(at)];
        let places = beside.into_iter().flatten().filter_map(|at| bucket.get(at));
        places
            .map(|place| self.compare(*place, wanted).1)
            .max()
            .unwrap_or(0)
    }

    /// Order of a suffix relative to the wanted tokens, and the number of matching tokens.
    /// Documents end with a zero, which is never wanted.
    fn compare(&self, place: u32, wanted: &[u16]) -> (Ordering, usize) {
        let there = &self.text[place as usize..];
        let agree = there.iter().zip(wanted).take_while(|(a, b)| a == b).count();
        let order = match (there.get(agree), wanted.get(agree)) {
            (_, None) => Ordering::Equal,
            (there, wanted) => there.cmp(&wanted),
        };
        (order, agree)
    }

    fn documents(&self, span: &[u16]) -> (u32, Vec<u32>) {
        let bucket = self.bucket(span[0]);
        let from = bucket.partition_point(|place| self.compare(*place, span).0 == Ordering::Less);
        let mut found: Vec<u32> = bucket[from..]
            .iter()
            .take(LOOKED_AT)
            .take_while(|place| self.compare(**place, span).0 == Ordering::Equal)
            .map(|place| self.starts.partition_point(|start| start <= place) as u32 - 1)
            .collect();
        found.sort_unstable();
        found.dedup();
        let documents = found.len() as u32;
        found.truncate(NAMED);
        (documents, found)
    }
}

/// The tokens of the answer that are copied from the prompt in sequences of [`SHORTEST`] or more.
fn given(prompt: &[u32], answer: &[u32]) -> Vec<bool> {
    let known: HashSet<&[u32]> = prompt.windows(SHORTEST).collect();
    let mut given = vec![false; answer.len()];
    for (at, run) in answer.windows(SHORTEST).enumerate() {
        if known.contains(run) {
            given[at..at + SHORTEST].fill(true);
        }
    }
    given
}
