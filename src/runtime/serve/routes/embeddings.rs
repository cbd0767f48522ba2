//! `POST /v1/embeddings`: no engine here embeds, and saying so beats a bare 404.

use axum::{
    extract::{Request, State},
    http::StatusCode,
};

use super::AppState;
use crate::runtime::serve::{api_error::ApiError, intake::CallIntake};

pub async fn refuse(State(app): State<AppState>, request: Request) -> ApiError {
    match CallIntake::read(&app, request).await {
        Err(refusal) => refusal,
        Ok(intake) => {
            let message = format!(
                "The model '{}' generates text and gives no embeddings.",
                intake.adapter.name
            );
            ApiError::new(StatusCode::BAD_REQUEST, "embeddings_unsupported", message)
                .with_param("model")
        }
    }
}
