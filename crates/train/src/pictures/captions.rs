//! The text encoder's values for the captions of a dataset, each computed once if they fit in memory.

use std::{collections::HashMap, sync::Arc};

use openlora_diffusion::CaptionEmbedding;

use super::{super::error::TrainError, data::PictureRow, model::PictureModel};

/// Values that are kept at most: half a gibibyte.
const MOST_VALUES: usize = 1 << 27;

/// Captions that were read already.
pub struct CaptionCache<'a> {
    model: &'a PictureModel,
    known: HashMap<String, Arc<CaptionEmbedding>>,
    values: usize,
}

impl<'a> CaptionCache<'a> {
    pub fn new(model: &'a PictureModel) -> Self {
        Self {
            model,
            known: HashMap::new(),
            values: 0,
        }
    }

    /// The values of a row's caption.
    ///
    /// # Errors
    ///
    /// A caption that the text encoder cannot read, by its path and line.
    pub fn of_row(&mut self, row: &PictureRow) -> Result<Arc<CaptionEmbedding>, TrainError> {
        if let Some(known) = self.known.get(&row.caption) {
            return Ok(known.clone());
        }
        let read = self.model.caption(&row.caption);
        let read = Arc::new(read.map_err(|error| TrainError::Caption {
            place: row.place.clone(),
            error,
        })?);
        if self.values < MOST_VALUES {
            self.values += read.values().len();
            self.known.insert(row.caption.clone(), read.clone());
        }
        Ok(read)
    }
}
