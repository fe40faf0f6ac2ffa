//! The rows of a slice, one row group after the other.

use super::{FORMAT, ParquetOptions};
use crate::output::Times;
use crate::{FormatError, Formatter, SliceHeader};
use ew_core::Row;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::sync::Arc;

const SCHEMA: &str = "message slice {
    REQUIRED INT64 timestamp (TIMESTAMP(MICROS, true));
    REQUIRED BYTE_ARRAY point (STRING);
    OPTIONAL DOUBLE value;
    REQUIRED BYTE_ARRAY unit (STRING);
    REQUIRED BYTE_ARRAY quality (STRING);
}";

/// Says who wrote the file: the rules of this format, not the release, which changes no byte.
const CREATED_BY: &str = "ew version 1";

/// Texts that are handed to a column at once.
const BATCH_ROWS: usize = 1024;

/// Holds one row group; a group that is full goes out.
pub(crate) struct Rows<'a, W> {
    times: Times<'a>,
    group_rows: usize,
    group: Group,
    units: Units,
    /// It asks for a writer that may go to another thread, which ours need not; so it writes here, and each group's
    /// bytes are handed on from here.
    file: SerializedFileWriter<Vec<u8>>,
    out: W,
}

/// By point, the units that its rows are in. As many as the slice has points.
type Units = BTreeMap<String, BTreeSet<String>>;

impl<'a, W: Write> Rows<'a, W> {
    pub(crate) fn start(
        options: &'a ParquetOptions,
        header: &SliceHeader<'a>,
        out: W,
    ) -> Result<Rows<'a, W>, FormatError> {
        Ok(Rows {
            times: Times::new(FORMAT, header.zone, None),
            group_rows: options.row_group_rows.get(),
            group: Group::default(),
            units: Units::new(),
            file: start_file(header).map_err(fault)?,
            out,
        })
    }

    fn write_group(&mut self) -> Result<(), FormatError> {
        self.group.write(&mut self.file).map_err(fault)?;
        self.group.add_units(&mut self.units);
        self.group.clear();
        self.hand_on()
    }

    fn hand_on(&mut self) -> Result<(), FormatError> {
        let bytes = self.file.flush().map(|()| self.file.inner_mut());
        let written = bytes.and_then(|bytes| {
            self.out.write_all(bytes)?;
            bytes.clear();
            Ok(())
        });
        written.map_err(|source| FormatError::Write { format: FORMAT, source })
    }
}

impl<W: Write> Formatter for Rows<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        self.times.step(&row)?;
        self.group.add(&row);
        match self.group.len() < self.group_rows {
            true => Ok(()),
            false => self.write_group(),
        }
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        if self.group.len() > 0 {
            self.write_group()?;
        }
        let units =
            serde_json::to_string(&self.units).map_err(|e| fault(ParquetError::External(e.into())))?;
        self.file.append_key_value_metadata(KeyValue::new("ew.units".to_owned(), units));
        self.file.finish().map_err(fault)?;
        self.hand_on()?;
        self.out.flush().map_err(|source| FormatError::Write { format: FORMAT, source })
    }
}

fn start_file(header: &SliceHeader<'_>) -> Result<SerializedFileWriter<Vec<u8>>, ParquetError> {
    let about = [
        ("ew.site", header.site.to_owned()),
        ("ew.job", header.job.to_owned()),
        ("ew.start", header.window.start.to_string()),
        ("ew.end", header.window.end.to_string()),
    ];
    let about = about.into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect();
    let properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        // By these a reader passes over groups of other times. What there is to pages would grow with the slice.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(about))
        .build();
    let schema = parse_message_type(SCHEMA)?;
    SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))
}

/// It writes into memory only, so what fails is not the disk.
fn fault(error: ParquetError) -> FormatError {
    FormatError::Write { format: FORMAT, source: io::Error::other(error) }
}

/// The columns of a row group.
#[derive(Default)]
struct Group {
    times: Vec<i64>,
    points: Texts,
    /// Those that are not null.
    values: Vec<f64>,
    /// For each row 1, or 0 for a null.
    is_value: Vec<i16>,
    units: Texts,
    qualities: Texts,
}

impl Group {
    fn len(&self) -> usize {
        self.times.len()
    }

    fn add(&mut self, row: &Row<'_>) {
        self.times.push(row.time.micros());
        self.points.add(row.point);
        self.values.extend(row.value);
        self.is_value.push(row.value.is_some().into());
        self.units.add(row.unit);
        self.qualities.add(row.quality.as_str());
    }

    /// The columns in the order of the schema.
    fn write(&self, file: &mut SerializedFileWriter<Vec<u8>>) -> Result<(), ParquetError> {
        let mut group = file.next_row_group()?;
        write_column::<Int64Type>(&mut group, &self.times, None)?;
        self.points.write(&mut group)?;
        write_column::<DoubleType>(&mut group, &self.values, Some(&self.is_value))?;
        self.units.write(&mut group)?;
        self.qualities.write(&mut group)?;
        group.close().map(|_| ())
    }

    fn add_units(&self, units: &mut Units) {
        let pairs: BTreeSet<(u32, u32)> =
            self.points.rows.iter().copied().zip(self.units.rows.iter().copied()).collect();
        for (point, unit) in pairs {
            let (point, unit) = (self.points.text(point), self.units.text(unit));
            if !unit.is_empty() {
                units.entry(point.to_owned()).or_default().insert(unit.to_owned());
            }
        }
    }

    fn clear(&mut self) {
        self.times.clear();
        self.points.clear();
        self.values.clear();
        self.is_value.clear();
        self.units.clear();
        self.qualities.clear();
    }
}

/// A column of texts, each kept once.
#[derive(Default)]
struct Texts {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    /// By row, the number of its text.
    rows: Vec<u32>,
}

impl Texts {
    fn add(&mut self, text: &str) {
        let number = match self.numbers.get(text) {
            Some(number) => *number,
            None => {
                // There are no more texts than rows in a group, and of these a million.
                let (number, text) = (self.texts.len() as u32, Arc::<str>::from(text));
                self.texts.push(Arc::clone(&text));
                self.numbers.insert(text, number);
                number
            }
        };
        self.rows.push(number);
    }

    fn text(&self, number: u32) -> &str {
        &self.texts[number as usize]
    }

    fn write(&self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<(), ParquetError> {
        let texts: Vec<ByteArray> = self.texts.iter().map(|text| ByteArray::from(&**text)).collect();
        let Some(mut column) = group.next_column()? else { return Ok(()) };
        for rows in self.rows.chunks(BATCH_ROWS) {
            let batch: Vec<ByteArray> = rows.iter().map(|row| texts[*row as usize].clone()).collect();
            column.typed::<ByteArrayType>().write_batch(&batch, None, None)?;
        }
        column.close()
    }

    fn clear(&mut self) {
        self.numbers.clear();
        self.texts.clear();
        self.rows.clear();
    }
}

fn write_column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    is_value: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else { return Ok(()) };
    column.typed::<T>().write_batch(values, is_value, None)?;
    column.close()
}
