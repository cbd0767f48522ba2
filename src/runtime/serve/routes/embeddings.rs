//! `POST /v1/embeddings`: no engine here embeds, and saying so beats a bare 404.

use axum::{
    extract::{Request, State},
    http::StatusCode,
};

use super::App;
use crate::runtime::serve::{intake::Intake, refusal::Refusal};

pub async fn refuse(State(app): State<App>, request: Request) -> Refusal {
    match Intake::read(&app, request).await {
        Err(refusal) => refusal,
        Ok(intake) => {
            let message = format!(
                "The model '{}' generates text and gives no embeddings.",
                intake.adapter.name
            );
            Refusal::new(StatusCode::BAD_REQUEST, "embeddings_unsupported", message).on("model")
        }
    }
}
