//! Everything that is wrong with a request body, reported in one answer.

use axum::http::StatusCode;

use crate::api_error::ApiError;

/// Most problems whose messages are given; further ones are counted.
const MOST_TOLD: usize = 8;

/// The order in which problems are reported: a misspelt name explains what seems to be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ProblemRank {
    /// A name that is not known or not supported.
    Name,
    /// The model that is asked for.
    Model,
    /// A value that is missing or wrong.
    Value,
}

#[derive(Debug)]
struct RankedProblem {
    rank: ProblemRank,
    error: ApiError,
}

/// What is wrong with a request body.
#[derive(Debug, Default)]
pub struct BodyProblems(Vec<RankedProblem>);

impl BodyProblems {
    pub fn of_names(names: impl IntoIterator<Item = ApiError>) -> Self {
        let rank = ProblemRank::Name;
        let ranked = names.into_iter().map(|error| RankedProblem { rank, error });
        Self(ranked.collect())
    }

    /// The value that was read; its default stands in for one that was not.
    pub fn keep<T: Default>(&mut self, read: Result<T, ApiError>) -> T {
        match read {
            Ok(value) => value,
            Err(error) => {
                let rank = ProblemRank::Value;
                self.0.push(RankedProblem { rank, error });
                T::default()
            }
        }
    }

    /// These and a problem of the model.
    pub fn with_model(mut self, error: ApiError) -> Self {
        let rank = ProblemRank::Model;
        self.0.push(RankedProblem { rank, error });
        self
    }

    /// What was read, if nothing is wrong.
    pub fn unless_any<T>(self, read: T) -> Result<T, Self> {
        match self.0.is_empty() {
            true => Ok(read),
            false => Err(self),
        }
    }
}

impl From<BodyProblems> for ApiError {
    /// The first problem's answer, with the messages of all.
    fn from(problems: BodyProblems) -> Self {
        let mut problems = problems.0;
        problems.sort_by_key(|problem| problem.rank);
        let told = problems.iter().take(MOST_TOLD);
        let mut message: Vec<String> = told.map(|it| it.error.message.to_string()).collect();
        match problems.len().saturating_sub(MOST_TOLD) {
            0 => {}
            1 => message.push("There is 1 more problem.".to_owned()),
            more => message.push(format!("There are {more} more problems.")),
        }
        let message: Box<str> = message.join(" ").into();
        match problems.into_iter().next() {
            Some(first) => Self {
                message,
                ..first.error
            },
            None => Self::new(StatusCode::BAD_REQUEST, "invalid_request", message),
        }
    }
}
