//! The vocabulary of ew: what a sample, a point, a slot, a slice and a name are.
//!
//! Nothing here does input or output, with one exception that has no other place: [`Zone`] reads the
//! rules of an IANA time zone from the system's zoneinfo, or else from the copy built in.

mod clock;
mod duration;
mod exit;
mod glob;
mod late;
mod number;
mod plan;
mod point;
mod resample;
mod sample;
mod secret;
mod slot;
mod template;
mod time;
mod when;
mod zone;
mod zoneinfo;

pub use clock::{Boot, ClockDoubt, ClockHistory, ClockReading, Doubted};
pub use duration::Span;
pub use exit::{Exit, PartOutcome};
pub use glob::{PointGlob, Selection};
pub use late::{Before, Late, LateAs, LateRows, TRIMMED_WITHOUT_DELTA, late_as};
pub use number::format_number;
pub use plan::{Columns, Contents, Due, EMPTY_SLICES_MAX, Occupied, PlanError, PlanRequest, plan};
pub use point::{PART_BYTES_MAX, POINT_BYTES_MAX, Point, point_part};
pub use resample::{Aggregate, EMPTY_INTERVALS_MAX, ResampleError, Resampler, Resampling, Stamp};
pub use sample::{BadSample, Quality, Row, RowOrder, Sample};
pub use secret::{Missing, Secret, SecretSource};
pub use slot::{Grid, Period, TimeOfDay, Window};
pub use template::{NameFields, NameTemplate, TemplateError, insert_before_extension};
pub use time::Timestamp;
pub use when::{Anchors, When, WhenError};
pub use zone::Zone;
