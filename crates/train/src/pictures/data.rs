//! Pictures with captions as training data: folders that contributors name as `[[data]]`.
//!
//! Pictures are cut and scaled to the base's size when they are read, and only that is kept. Digests
//! are of the pixels as they were read, so that they depend neither on the base nor on file formats.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use openlora_diffusion::pixels_of;
use openlora_model::dataset::{DataSource, LockedSource};
use openlora_pictures::{
    CaptionedPicture, FolderOptions, Picture, folder::FolderWarning, inspect_folder,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::super::error::TrainError;

/// A picture with its caption, at the base's size.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureRow {
    /// Which source it is from.
    pub source: usize,
    pub caption: String,
    /// Where its caption is: `path:line`.
    pub place: String,
    /// The picture's file.
    pub path: PathBuf,
    /// As it was read, in pixels.
    pub width: u32,
    pub height: u32,
    /// Of the base's size.
    pub picture: Picture,
    /// SHA-256 of the size and the pixels as they were read, hex.
    pub digest: String,
    /// SHA-256 of that digest and the caption: identifies the row where it cannot be shown.
    pub content_hash: [u8; 32],
}

impl PictureRow {
    /// Values in [-1, 1], `[side, side, 3]`.
    pub fn pixels(&self) -> Vec<f32> {
        pixels_of(&self.picture.rgb)
    }

    /// The row as its digests name it: a line of JSON that does not depend on files.
    pub fn canonical_line(&self) -> String {
        let caption = serde_json::Value::from(self.caption.as_str());
        let digest = &self.digest;
        format!("{{\"kind\":\"picture\",\"caption\":{caption},\"pixels\":\"{digest}\"}}\n")
    }
}

/// Pictures of several sources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PictureDataset {
    pub sources: Vec<DataSource>,
    pub rows: Vec<PictureRow>,
    /// SHA-256 over the canonical lines of all rows, hex.
    pub digest: String,
    /// The same for the rows of each source.
    pub source_digests: Vec<String>,
    /// What was not read of the folders, and what may be a mistake.
    pub warnings: Vec<FolderWarning>,
}

/// What was read of some folders, and what could not be.
#[derive(Debug)]
pub struct PictureInspection {
    pub dataset: PictureDataset,
    /// The folder's error and the source, for each folder that cannot be read.
    pub errors: Vec<TrainError>,
}

/// A picture and the first earlier one that it repeats.
#[derive(Clone, Debug, PartialEq)]
pub struct RepeatedPicture {
    pub first: usize,
    pub second: usize,
    /// Whether the pixels are the same, and not only nearly.
    pub exact: bool,
}

/// Squares of a picture's grid per side, whose mean colours are compared.
const GRID: usize = 16;
/// Largest difference of a mean colour of near duplicates, of 255. Files that are compressed, scaled
/// or written again differ by less; a shape of another colour or place differs by more.
const NEAR: i16 = 8;
/// Squares of near duplicates that may differ by more.
const MOST_OTHER: usize = 2;

impl PictureDataset {
    /// Reads the folders of all sources. `size` is the side of the base's pictures.
    ///
    /// # Errors
    ///
    /// A folder without pictures, a picture or a caption that cannot be read, by path and line.
    pub fn load(sources: &[DataSource], size: u32) -> Result<Self, TrainError> {
        let PictureInspection { dataset, errors } = Self::inspect(sources, size, 1);
        match errors.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(dataset),
        }
    }

    /// Reads what can be read. Of each folder, about `most` errors are found.
    pub fn inspect(sources: &[DataSource], size: u32, most: usize) -> PictureInspection {
        let options = FolderOptions {
            fit: Some(size),
            ..FolderOptions::default()
        };
        let (mut rows, mut errors, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        for (source, data) in sources.iter().enumerate() {
            match inspect_folder(&data.path, &options, most) {
                Ok(found) => {
                    rows.extend(found.pictures.into_iter().map(|it| row(source, it)));
                    warnings.extend(found.warnings);
                }
                Err(found) => errors.extend(found.into_iter().map(TrainError::from)),
            }
        }
        let dataset = Self {
            warnings,
            ..Self::new(sources.to_vec(), rows)
        };
        PictureInspection { dataset, errors }
    }

    pub fn new(sources: Vec<DataSource>, rows: Vec<PictureRow>) -> Self {
        let of_source = |index: usize| rows.iter().filter(move |row| row.source == index);
        let source_digests = (0..sources.len()).map(|index| digest(of_source(index)));
        Self {
            source_digests: source_digests.collect(),
            digest: digest(rows.iter()),
            sources,
            rows,
            warnings: Vec::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows at `picks`, with all sources.
    pub fn select(&self, picks: &[usize]) -> Self {
        let rows = picks.iter().map(|pick| self.rows[*pick].clone()).collect();
        Self::new(self.sources.clone(), rows)
    }

    /// For each row, the first row of its cluster of near duplicates; a row without any is its own.
    pub fn clusters(&self) -> Vec<usize> {
        let mut roots: Vec<usize> = Vec::with_capacity(self.rows.len());
        let repeats = self.repeats();
        let mut repeats = repeats.iter().peekable();
        for at in 0..self.rows.len() {
            match repeats.next_if(|repeat| repeat.second == at) {
                Some(repeat) => roots.push(roots[repeat.first]),
                None => roots.push(at),
            }
        }
        roots
    }

    /// Pictures that repeat an earlier one, exactly or nearly, in the order of rows.
    pub fn repeats(&self) -> Vec<RepeatedPicture> {
        let mut exact: HashMap<&str, usize> = HashMap::new();
        let grids: Vec<Vec<i16>> = self.rows.iter().map(|row| grid(&row.picture)).collect();
        let mut found = Vec::new();
        for (second, row) in self.rows.iter().enumerate() {
            if let Some(first) = exact.get(row.digest.as_str()) {
                found.push(RepeatedPicture {
                    first: *first,
                    second,
                    exact: true,
                });
                continue;
            }
            exact.insert(&row.digest, second);
            if let Some(first) = (0..second).find(|first| is_near(&grids[*first], &grids[second])) {
                found.push(RepeatedPicture {
                    first,
                    second,
                    exact: false,
                });
            }
        }
        found
    }

    /// Splits off a fraction of the rows of each source. The part of a row follows from its picture
    /// and the seed.
    pub fn split(&self, fraction: f64, seed: u64) -> PictureSplit {
        let mut split = PictureSplit::default();
        for source in 0..self.sources.len() {
            let mut rows: Vec<([u8; 32], usize)> = self
                .rows
                .iter()
                .enumerate()
                .filter(|(_, row)| row.source == source)
                .map(|(at, row)| (split_key(row, seed), at))
                .collect();
            rows.sort_unstable();
            let count = (rows.len() as f64 * fraction).round() as usize;
            let (valid, train) = rows.split_at(count.min(rows.len()));
            split.valid.extend(valid.iter().map(|(_, at)| *at));
            split.train.extend(train.iter().map(|(_, at)| *at));
        }
        split.train.sort_unstable();
        split.valid.sort_unstable();
        split
    }

    /// The sources as a run locks them; paths are relative to `root`.
    pub fn locked_sources(&self, root: &Path) -> Vec<LockedSource> {
        let clusters = self.clusters();
        let sources = self.sources.iter().enumerate();
        let locked = sources.map(|(index, source)| {
            let rows = || {
                self.rows
                    .iter()
                    .enumerate()
                    .filter(move |(_, row)| row.source == index)
            };
            let distinct = rows().filter(|(at, _)| clusters[*at] == *at).count();
            let bytes: usize = rows().map(|(_, row)| row.canonical_line().len()).sum();
            let path = source.path.strip_prefix(root).unwrap_or(&source.path);
            LockedSource {
                path: path.display().to_string(),
                contributor: source.contributor.clone(),
                address: source.address.clone(),
                license: source.license.clone(),
                weight: source.weight,
                rows: rows().count(),
                distinct: Some(distinct),
                sha256: self.source_digests[index].clone(),
                bytes: Some(bytes as u64),
            }
        });
        locked.collect()
    }
}

/// Positions of rows, each ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PictureSplit {
    pub train: Vec<usize>,
    pub valid: Vec<usize>,
}

fn row(source: usize, read: CaptionedPicture) -> PictureRow {
    PictureRow {
        source,
        place: read.place(),
        path: read.path.clone(),
        width: read.original_width,
        height: read.original_height,
        digest: hex::encode(read.digest),
        content_hash: Sha256::new()
            .chain_update(read.digest)
            .chain_update(&read.caption)
            .finalize()
            .into(),
        caption: read.caption,
        picture: read.picture,
    }
}

fn digest<'a>(rows: impl Iterator<Item = &'a PictureRow>) -> String {
    let mut hash = Sha256::new();
    for row in rows {
        hash.update(row.canonical_line());
    }
    hex::encode(hash.finalize())
}

fn split_key(row: &PictureRow, seed: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(&row.digest);
    hash.finalize().into()
}

/// Mean colours of the squares of a grid, row by row.
fn grid(picture: &Picture) -> Vec<i16> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let mut means = Vec::with_capacity(GRID * GRID * 3);
    for row in 0..GRID {
        for column in 0..GRID {
            let rows =
                row * height / GRID..((row + 1) * height / GRID).max(row * height / GRID + 1);
            let first = column * width / GRID;
            let columns = first..((column + 1) * width / GRID).max(first + 1);
            let (mut sums, mut count) = ([0u32; 3], 0);
            for y in rows {
                for x in columns.clone() {
                    let at = (y.min(height - 1) * width + x.min(width - 1)) * 3;
                    for (sum, value) in sums.iter_mut().zip(&picture.rgb[at..at + 3]) {
                        *sum += u32::from(*value);
                    }
                    count += 1;
                }
            }
            means.extend(sums.map(|sum| (sum / count) as i16));
        }
    }
    means
}

/// Whether all but a few squares have nearly the same mean colour: single changed pixels make no other
/// picture.
fn is_near(one: &[i16], other: &[i16]) -> bool {
    let squares = one.chunks_exact(3).zip(other.chunks_exact(3));
    let differs = |(a, b): &(&[i16], &[i16])| a.iter().zip(*b).any(|(a, b)| (a - b).abs() > NEAR);
    squares.filter(differs).take(MOST_OTHER + 1).count() <= MOST_OTHER
}
