//! Tables: CSV to columns, and to serialized `tf.Example`s.
//!
//! ```
//! use tensorgate_sdk::tabular::{Limits, Schema, Table, to_csv};
//!
//! let table = Table::parse(b"age,city\n41,Bern\n7,Basel\n", Limits::default())?;
//! assert_eq!(table.floats("age")?, [41.0, 7.0]);
//! assert_eq!(table.texts("city")?, ["Bern", "Basel"]);
//!
//! // For a model whose input is a batch of serialized examples.
//! let examples = table.examples(&Schema::new().float("age").text("city"))?;
//! assert_eq!(examples.shape(), [2]);
//!
//! // And back: the header, and a line for each row.
//! let csv = to_csv(&[("Bern", 0.5), ("Basel", 0.25)], &["city", "score"])?;
//! assert_eq!(csv, b"city,score\nBern,0.5\nBasel,0.25\n");
//! # Ok::<(), tensorgate_sdk::Error>(())
//! ```
//!
//! **Invariant:** every row has a cell for every column; what has not is the client's error, which
//! names row and column. Rows count from 1, the one below the header.

use std::str::FromStr;

use csv::{ReaderBuilder, StringRecord, WriterBuilder};
use prost::Message as _;
use serde::Serialize;
use tensorgate_proto::tensorflow::{
    BytesList, Example, Feature, Features, FloatList, Int64List, feature::Kind,
};
use tensorgate_types::{Error, Result};

use crate::tensor::{Element, Tensor};

/// The largest table that is read. Its memory is bounded by the body's size; this bounds the batch
/// that is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows below the header.
    pub rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 64 << 10 }
    }
}

/// A table with named columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    names: StringRecord,
    rows: Vec<StringRecord>,
}

impl Table {
    /// Reads CSV (RFC 4180), UTF-8, whose first line names the columns. Blanks round cells do not
    /// count.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when it is not that: two columns of one name, a row with more or fewer
    /// cells than there are columns, bytes that are no text, more rows than `limits` allow.
    pub fn parse(bytes: &[u8], limits: Limits) -> Result<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
        let failed = |error: csv::Error| Error::invalid_argument(format!("{error}"));
        let names = reader.headers().map_err(failed)?.clone();
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|earlier| earlier == name) {
                return Err(Error::invalid_argument(format!(
                    "CSV: there are two columns `{name}`"
                )));
            }
        }
        let mut rows = Vec::new();
        for row in reader.records() {
            if rows.len() == limits.rows {
                return Err(Error::invalid_argument(format!(
                    "CSV: {} rows are taken at most",
                    limits.rows
                )));
            }
            rows.push(row.map_err(failed)?);
        }
        Ok(Self { names, rows })
    }

    /// How many rows there are, without the header.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is nothing but the header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The names of the columns, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter()
    }

    /// The cells of a column.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when there is none of this name: the error lists those that there are.
    pub fn texts(&self, name: &str) -> Result<Vec<&str>> {
        let column = self.column(name)?;
        Ok(self.rows.iter().map(|row| cell(row, column)).collect())
    }

    /// A column of numbers.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when there is none of this name, or a cell is no number.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>> {
        self.numbers(name, "a number")
    }

    /// A column of whole numbers.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when there is none of this name, or a cell is no whole number.
    pub fn integers(&self, name: &str) -> Result<Vec<i64>> {
        self.numbers(name, "a whole number")
    }

    /// Columns of numbers side by side, as one tensor `[rows, columns]`.
    ///
    /// # Errors
    /// As [`floats`](Self::floats).
    pub fn matrix(&self, names: &[&str]) -> Result<Tensor> {
        let columns: Vec<Vec<f32>> = names
            .iter()
            .map(|name| self.floats(name))
            .collect::<Result<_>>()?;
        let shape = [self.len() as i64, names.len() as i64];
        Tensor::build(&shape, |values: &mut [f32]| {
            for (at, value) in values.iter_mut().enumerate() {
                *value = columns[at % names.len()][at / names.len()];
            }
            Ok(())
        })
    }

    /// A serialized `tf.Example` for each row, as a string tensor `[rows]`. Columns that the schema
    /// does not have are left out.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` when a column of the schema is missing that is not optional, or a cell is
    /// not of its type.
    pub fn examples(&self, schema: &Schema) -> Result<Tensor> {
        let columns: Vec<(&Wanted, usize)> = schema
            .0
            .iter()
            .filter(|wanted| !wanted.optional || self.names().any(|name| name == wanted.name))
            .map(|wanted| Ok((wanted, self.column(&wanted.name)?)))
            .collect::<Result<_>>()?;
        let mut examples = Vec::with_capacity(self.len());
        for (index, row) in self.rows.iter().enumerate() {
            let mut features = Features::default();
            for &(wanted, column) in &columns {
                let cell = cell(row, column);
                if cell.is_empty() && wanted.optional {
                    continue;
                }
                let kind = wanted.kind(cell, index)?;
                features
                    .feature
                    .insert(wanted.name.clone(), Feature { kind: Some(kind) });
            }
            let example = Example {
                features: Some(features),
            };
            examples.push(example.encode_to_vec());
        }
        Tensor::strings(&[self.len() as i64], examples)
    }

    fn numbers<T: FromStr + Element>(&self, name: &str, what: &str) -> Result<Vec<T>> {
        let column = self.column(name)?;
        let cells = self.rows.iter().map(|row| cell(row, column));
        cells
            .enumerate()
            .map(|(row, cell)| parse(cell, name, row, what))
            .collect()
    }

    fn column(&self, name: &str) -> Result<usize> {
        self.names().position(|found| found == name).ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            Error::invalid_argument(format!(
                "CSV: there is no column `{name}`, only `{}`",
                names.join("`, `")
            ))
        })
    }
}

/// A cell. There is one: the reader has refused rows of another length.
fn cell(row: &StringRecord, column: usize) -> &str {
    row.get(column).unwrap_or_default()
}

fn parse<T: FromStr>(cell: &str, name: &str, row: usize, what: &str) -> Result<T> {
    cell.parse().map_err(|_| {
        Error::invalid_argument(format!(
            "CSV: row {}, column `{name}`: expected {what}, found `{cell}`",
            row + 1
        ))
    })
}

/// Which columns become features of `tf.Example`s, and of which type.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema(Vec<Wanted>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    name: String,
    list: List,
    optional: bool,
}

/// What `tf.train.Feature` can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum List {
    Float,
    Integer,
    Text,
}

impl Schema {
    /// No columns yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A column of numbers: a `float_list`.
    #[must_use]
    pub fn float(self, name: impl Into<String>) -> Self {
        self.with(name, List::Float)
    }

    /// A column of whole numbers: an `int64_list`.
    #[must_use]
    pub fn integer(self, name: impl Into<String>) -> Self {
        self.with(name, List::Integer)
    }

    /// A column of text: a `bytes_list`.
    #[must_use]
    pub fn text(self, name: impl Into<String>) -> Self {
        self.with(name, List::Text)
    }

    /// Where a cell of the last column is empty, or there is no such column at all, its feature is
    /// left out, so that the model takes its own default. Otherwise a column has to be there, and
    /// an empty cell is no number, and a text of no letters.
    #[must_use]
    pub fn optional(mut self) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.optional = true;
        }
        self
    }

    fn with(mut self, name: impl Into<String>, list: List) -> Self {
        self.0.push(Wanted {
            name: name.into(),
            list,
            optional: false,
        });
        self
    }
}

impl Wanted {
    fn kind(&self, cell: &str, row: usize) -> Result<Kind> {
        Ok(match self.list {
            List::Float => Kind::FloatList(FloatList {
                value: vec![parse(cell, &self.name, row, "a number")?],
            }),
            List::Integer => Kind::Int64List(Int64List {
                value: vec![parse(cell, &self.name, row, "a whole number")?],
            }),
            List::Text => Kind::BytesList(BytesList {
                value: vec![cell.as_bytes().to_vec()],
            }),
        })
    }
}

/// CSV whose first line is `names`, with a line for each row: a tuple, or a struct whose fields are
/// in the order of the names. Cells that need it are quoted; numbers are as short as they can be.
///
/// # Errors
/// `INTERNAL` when a row is of another length, or holds what a cell cannot.
pub fn to_csv<T: Serialize>(rows: &[T], names: &[&str]) -> Result<Vec<u8>> {
    let failed = |error: csv::Error| Error::internal(format!("the answer cannot be CSV: {error}"));
    let mut writer = WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer.write_record(names).map_err(failed)?;
    for row in rows {
        writer.serialize(row).map_err(failed)?;
    }
    writer
        .into_inner()
        .map_err(|error| Error::internal(format!("the answer cannot be CSV: {}", error.error())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Table> {
        Table::parse(text.as_bytes(), Limits::default())
    }

    #[test]
    fn reads_columns_by_name() {
        let table = table("\u{feff}id, x ,name\r\n1,2.5,\"a, \"\"b\"\"\"\r\n2,-1e3,\n").unwrap();
        assert_eq!(table.names().collect::<Vec<_>>(), ["id", "x", "name"]);
        assert_eq!(table.integers("id").unwrap(), [1, 2]);
        assert_eq!(table.floats("x").unwrap(), [2.5, -1000.0]);
        assert_eq!(table.texts("name").unwrap(), ["a, \"b\"", ""]);
        let matrix = table.matrix(&["x", "id"]).unwrap();
        assert_eq!(
            matrix,
            Tensor::new(&[2, 2], &[2.5f32, 1.0, -1000.0, 2.0]).unwrap()
        );
    }

    #[test]
    fn errors_name_row_and_column() {
        let table = table("id,x\n1,2\n2,two\n").unwrap();
        for (error, message) in [
            (
                table.floats("x").unwrap_err(),
                "CSV: row 2, column `x`: expected a number, found `two`",
            ),
            (
                table.examples(&Schema::new().integer("x")).unwrap_err(),
                "CSV: row 2, column `x`: expected a whole number, found `two`",
            ),
            (
                table.texts("y").unwrap_err(),
                "CSV: there is no column `y`, only `id`, `x`",
            ),
            (
                self::table("a,b,a\n").unwrap_err(),
                "CSV: there are two columns `a`",
            ),
            (
                Table::parse(b"a\n1\n2\n", Limits { rows: 1 }).unwrap_err(),
                "CSV: 1 rows are taken at most",
            ),
        ] {
            assert_eq!(error.code(), tensorgate_types::ErrorCode::InvalidArgument);
            assert_eq!(error.message(), message);
        }
    }

    #[test]
    fn what_is_no_table_is_the_clients_error() {
        let uneven = table("a,b\n1,2\n3\n").unwrap_err();
        assert!(uneven.message().contains("line: 3"), "{uneven}");
        assert!(Table::parse(b"a\n\xff\n", Limits::default()).is_err());
        let empty = table("").unwrap();
        assert!(empty.is_empty() && empty.floats("a").is_err());
        assert_eq!(table("a\n").unwrap().floats("a").unwrap(), [0.0; 0]);
    }

    #[test]
    fn a_column_that_is_optional_may_be_missing() {
        let table = table("city\nBern\n").unwrap();
        let schema = Schema::new().text("city").float("age").optional();
        let tensor = table.examples(&schema).unwrap();
        let example = tensor
            .as_strings()
            .unwrap()
            .iter()
            .next()
            .map(<[u8]>::to_vec);
        let features = Example::decode(&*example.unwrap())
            .unwrap()
            .features
            .unwrap();
        assert_eq!(features.feature.keys().collect::<Vec<_>>(), ["city"]);
        let error = table.examples(&Schema::new().float("age")).unwrap_err();
        assert_eq!(
            error.message(),
            "CSV: there is no column `age`, only `city`"
        );
    }

    #[test]
    fn rows_become_lines() {
        let rows = [("a, \"b\"", 0.5f32, Some(1)), ("\u{e4}", -1e-7, None)];
        let csv = to_csv(&rows, &["name", "x", "id"]).unwrap();
        let text = String::from_utf8(csv).unwrap();
        assert_eq!(text, "name,x,id\n\"a, \"\"b\"\"\",0.5,1\n\u{e4},-1e-7,\n");
        let read = table(&text).unwrap();
        assert_eq!(read.texts("name").unwrap(), ["a, \"b\"", "\u{e4}"]);
        assert_eq!(to_csv::<(f32,)>(&[], &["x"]).unwrap(), b"x\n");
        let error = to_csv(&[(1, 2)], &["x"]).unwrap_err();
        assert!(error.message().starts_with("the answer cannot be CSV"));
    }

    #[test]
    fn rows_become_examples() {
        let table = table("age,city,visits\n41.5,Bern,3\n,Basel,\n").unwrap();
        let schema = Schema::new()
            .float("age")
            .optional()
            .text("city")
            .integer("visits")
            .optional();
        let tensor = table.examples(&schema).unwrap();
        let strings = tensor.as_strings().unwrap();
        let examples: Vec<Features> = strings
            .iter()
            .map(|bytes| Example::decode(bytes).unwrap().features.unwrap())
            .collect();
        let feature = |row: usize, name: &str| {
            let feature = examples[row].feature.get(name)?;
            feature.kind.clone()
        };
        assert_eq!(
            feature(0, "age"),
            Some(Kind::FloatList(FloatList { value: vec![41.5] }))
        );
        assert_eq!(
            feature(0, "visits"),
            Some(Kind::Int64List(Int64List { value: vec![3] }))
        );
        assert_eq!(
            feature(1, "city"),
            Some(Kind::BytesList(BytesList {
                value: vec![b"Basel".to_vec()]
            }))
        );
        assert_eq!((feature(1, "age"), feature(1, "visits")), (None, None));
    }
}
