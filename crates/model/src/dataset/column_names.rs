//! Columns of data files that have other names than those of the row formats: `text=review`.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Map, Value};

use super::{DataError, shape::RowShape, similar::closest};

/// A column, and the name under which it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RenamedColumn {
    read_as: &'static str,
    column: String,
}

/// The columns of a data file that are read under other names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnNames {
    renamed: Vec<RenamedColumn>,
    /// Whether all files may lack the columns.
    optional: bool,
}

impl ColumnNames {
    /// Parses pairs such as `text=review`: a name of a row format, and the column that is read as it.
    ///
    /// # Errors
    ///
    /// A pair without `=`, a name that no row format has, or a name that occurs twice.
    pub fn parse(pairs: &[String]) -> Result<Self, DataError> {
        let mut renamed: Vec<RenamedColumn> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let unreadable = || DataError::ColumnPair { pair: pair.clone() };
            let (name, column) = pair.split_once('=').ok_or_else(unreadable)?;
            let (name, column) = (name.trim(), column.trim());
            if name.is_empty() || column.is_empty() {
                return Err(unreadable());
            }
            let known = RowShape::known_keys().find(|known| *known == name);
            let read_as = known.ok_or_else(|| DataError::UnknownColumnName {
                name: name.to_owned(),
                meant: closest(name, RowShape::known_keys()),
            })?;
            let repeats = |it: &&RenamedColumn| it.read_as == read_as || it.column == column;
            if let Some(other) = renamed.iter().find(repeats) {
                let twice = if other.read_as == read_as {
                    read_as
                } else {
                    column
                };
                return Err(DataError::RepeatedColumnName {
                    name: twice.to_owned(),
                });
            }
            renamed.push(RenamedColumn {
                read_as,
                column: column.to_owned(),
            });
        }
        Ok(Self {
            renamed,
            optional: false,
        })
    }

    /// The same for files that may have the formats' own names, such as those of `data split`.
    pub fn optional(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.renamed.is_empty()
    }

    /// Whether one of the files must have the columns.
    pub(super) fn is_required(&self) -> bool {
        !self.optional && !self.is_empty()
    }

    pub(super) fn is_column(&self, name: &str) -> bool {
        self.renamed.iter().any(|it| it.column == name)
    }

    /// The name under which a column is read; `None` if another column is read under its name.
    pub(super) fn name_of<'a>(&self, column: &'a str) -> Option<&'a str> {
        let renamed = self.renamed.iter().find(|it| it.column == column);
        match renamed {
            Some(renamed) => Some(renamed.read_as),
            None if self.renamed.iter().any(|it| it.read_as == column) => None,
            None => Some(column),
        }
    }

    /// A record under the names of the formats, and the columns whose names others have taken.
    pub(super) fn rename(&self, record: Map<String, Value>) -> (Map<String, Value>, Vec<String>) {
        let (mut named, mut replaced) = (Map::new(), Vec::new());
        for (column, value) in record {
            match self.name_of(&column) {
                Some(name) => {
                    named.insert(name.to_owned(), value);
                }
                None => replaced.push(column),
            }
        }
        (named, replaced)
    }

    /// The names that apply to a file with these columns: none, if it has none of the renamed
    /// columns. A file that has some of them must have all.
    pub(super) fn of_file<'a>(
        &self,
        columns: impl Iterator<Item = &'a str>,
    ) -> Result<Self, MissingColumn> {
        let columns: BTreeSet<&str> = columns.collect();
        let missing = |it: &&RenamedColumn| !columns.contains(it.column.as_str());
        match self.renamed.iter().find(missing) {
            None => Ok(self.clone()),
            Some(_) if self.renamed.iter().all(|it| missing(&it)) => Ok(Self::default()),
            Some(renamed) => Err(renamed.missing_in(&columns)),
        }
    }

    /// The first of the columns, for files of which none has one.
    pub(super) fn missing_in<'a>(
        &self,
        columns: impl Iterator<Item = &'a str>,
    ) -> Option<MissingColumn> {
        let columns = columns.collect();
        let first = self.renamed.first()?;
        Some(first.missing_in(&columns))
    }
}

/// A column that is to be read under another name and is not in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MissingColumn {
    read_as: &'static str,
    column: String,
    /// The columns of the file.
    found: Vec<String>,
}

impl MissingColumn {
    /// The error of the file.
    pub(super) fn into_error(self, path: &Path) -> DataError {
        DataError::NoColumn {
            path: path.to_path_buf(),
            read_as: self.read_as,
            column: self.column,
            found: self.found,
        }
    }
}

impl RenamedColumn {
    fn missing_in(&self, columns: &BTreeSet<&str>) -> MissingColumn {
        MissingColumn {
            read_as: self.read_as,
            column: self.column.clone(),
            found: columns.iter().map(|it| (*it).to_owned()).collect(),
        }
    }
}
