//! The exact way through `instances`: a list of rows, each a value or an object of named values.

use std::collections::BTreeSet;

use tensorgate_types::{DType, Error, Result};

use super::exact::{Inputs, fill_tensor, finish, is_named};
use super::values::{Tensor, Values};
use crate::json::dump::dump;
use crate::json::text;
use crate::json::walk::{self, Kind, kind};

/// What has been gathered of one input.
struct Column<'a> {
    name: &'a str,
    dtype: DType,
    /// Whether rows may leave it out, all or none of them.
    optional: bool,
    /// Whether the first row has it.
    given: bool,
    values: Option<Values>,
    /// Element count and shape of the first row, which all rows must have.
    row: Option<(usize, Vec<i64>)>,
}

/// Fills the inputs from the rows, the first of which is at `first`.
pub(super) fn fill(json: &[u8], first: usize, inputs: &Inputs) -> Result<Vec<Tensor>> {
    if kind(json, first) != Kind::Object && inputs.len() > 1 {
        return Err(Error::invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple \
             input tensors required as per tensorinfo_map",
        ));
    }
    let mut columns: Vec<Column<'_>> = inputs
        .iter()
        .map(|(name, info)| Column {
            name,
            dtype: info.dtype,
            optional: info.optional,
            given: false,
            values: Values::new(info.dtype),
            row: None,
        })
        .collect();
    let rows_are_named = is_named(json, first);
    if !rows_are_named {
        // Plain rows are the first input's; a model that wants more says so when it is run.
        columns.truncate(1);
    }
    let mut rows = 0;
    let mut next = Some(first);
    while let Some(at) = next {
        match (rows_are_named, is_named(json, at)) {
            (true, true) => add_object(json, at, rows, &mut columns)?,
            (false, false) => add_item(json, at, &mut columns[0]).map_err(|error| {
                Error::invalid_argument(format!(
                    "Failed to process element: {rows} of 'instances' list. Error: {error}"
                ))
            })?,
            (true, false) => {
                return Err(Error::invalid_argument(format!(
                    "Expecting object but got list at item {rows} of input list"
                )));
            }
            (false, true) => {
                return Err(Error::invalid_argument(format!(
                    "Expecting value/list but got object at item {rows} of input list"
                )));
            }
        }
        rows += 1;
        next = walk::next_element(json, walk::skip_value(json, at));
    }
    let given = columns
        .into_iter()
        .filter(|column| column.given || !rows_are_named);
    let finished = given.map(|column| {
        let (_, row) = column.row.unwrap_or_default();
        let shape = [rows].into_iter().chain(row).collect();
        finish(column.name, column.dtype, shape, column.values)
    });
    Ok(finished.collect())
}

fn add_object(json: &[u8], at: usize, row: i64, columns: &mut [Column<'_>]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for member in walk::members(json, at) {
        let name = text::decoded(member.name);
        let name = String::from_utf8_lossy(&name).into_owned();
        let added = match columns.iter_mut().find(|column| column.name == name) {
            None => Err(Error::invalid_argument(format!(
                "JSON object: does not have named input: {name}"
            ))),
            Some(column) if row > 0 && !column.given => {
                return Err(wrong_keys(json, at, row, columns));
            }
            Some(column) => {
                let before = column.values.as_ref().map_or(0, Values::len);
                let added = add_item(json, member.value, column);
                // A name that comes twice is checked twice, and counts once.
                if seen.contains(&name)
                    && let Some(values) = &mut column.values
                {
                    values.truncate(before);
                }
                added
            }
        };
        added.map_err(|error| {
            Error::invalid_argument(format!(
                "Failed to process element: {row} key: {name} of 'instances' list. Error: {error}"
            ))
        })?;
        seen.insert(name);
    }
    let may_lack = |column: &Column<'_>| {
        if row == 0 {
            column.optional
        } else {
            !column.given
        }
    };
    if !columns
        .iter()
        .all(|column| seen.contains(column.name) || may_lack(column))
    {
        return Err(wrong_keys(json, at, row, columns));
    }
    if row == 0 {
        for column in columns {
            column.given = seen.contains(column.name);
        }
    }
    Ok(())
}

/// The names are those of the signature, or, once a row has left some out, those of that row.
fn wrong_keys(json: &[u8], at: usize, row: i64, columns: &[Column<'_>]) -> Error {
    let names: Vec<&str> = columns
        .iter()
        .filter(|column| row == 0 || column.given)
        .map(|column| column.name)
        .collect();
    Error::invalid_argument(format!(
        "Failed to process element: {row} of 'instances' list. JSON object: {} \
         keys must be equal to: {}",
        dump(json, at),
        names.join(",")
    ))
}

/// Adds one row of one input.
fn add_item(json: &[u8], at: usize, column: &mut Column<'_>) -> Result<()> {
    let before = column.values.as_ref().map_or(0, Values::len);
    let shape = fill_tensor(json, at, column.dtype, column.values.as_mut())?;
    let size = column.values.as_ref().map_or(0, Values::len) - before;
    match &column.row {
        None => column.row = Some((size, shape)),
        Some((expected, _)) if *expected != size => {
            return Err(Error::invalid_argument(format!(
                "Expecting tensor size: {expected} but got: {size}"
            )));
        }
        Some((_, expected)) if *expected != shape => {
            return Err(Error::invalid_argument(format!(
                "Expecting shape {} but got: {}",
                shape_text(expected),
                shape_text(&shape)
            )));
        }
        Some(_) => {}
    }
    Ok(())
}

fn shape_text(shape: &[i64]) -> String {
    let dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("[{}]", dims.join(","))
}
