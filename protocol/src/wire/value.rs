//! The wire forms of Rust's own types: integers, strings, byte slices, options and vectors.

use super::{Nullable, ReadError, ReadErrorKind, Reader, Ver, Wire, WriteError, Writer};

/// A vector's first reserve, whatever count is claimed; when it is full it grows fourfold.
const FIRST_RESERVE_BYTES: usize = 512;

macro_rules! integers {
    ($($ty:ty)*) => { $(
        impl<'a> Wire<'a> for $ty {
            #[inline]
            fn read(reader: &mut Reader<'a>, _: Ver) -> Result<Self, ReadError> {
                Ok(Self::from_be_bytes(reader.array()?))
            }

            #[inline]
            fn write(&self, writer: &mut Writer, _: Ver) -> Result<(), WriteError> {
                writer.put(&self.to_be_bytes());
                Ok(())
            }
        }
    )* };
}

integers!(i8 i16 u16 i32 u32 i64 f64);

/// One byte; any but 0 is true.
impl<'a> Wire<'a> for bool {
    #[inline]
    fn read(reader: &mut Reader<'a>, _: Ver) -> Result<Self, ReadError> {
        Ok(reader.array::<1>()? != [0])
    }

    #[inline]
    fn write(&self, writer: &mut Writer, _: Ver) -> Result<(), WriteError> {
        writer.put(&[u8::from(*self)]);
        Ok(())
    }
}

impl<'a> Wire<'a> for &'a str {
    #[inline]
    fn read(reader: &mut Reader<'a>, ver: Ver) -> Result<Self, ReadError> {
        required(reader, ver)
    }

    fn write(&self, writer: &mut Writer, ver: Ver) -> Result<(), WriteError> {
        writer.string_length(Some(self.len()), ver.flexible)?;
        writer.put(self.as_bytes());
        Ok(())
    }
}

impl<'a> Nullable<'a> for &'a str {
    #[inline]
    fn read_nullable(reader: &mut Reader<'a>, ver: Ver) -> Result<Option<Self>, ReadError> {
        let length =
            if ver.flexible { reader.compact_length() } else { reader.classic_string_length() }?;
        length.map(|length| reader.str(length)).transpose()
    }

    fn write_nullable(
        value: Option<&Self>,
        writer: &mut Writer,
        ver: Ver,
    ) -> Result<(), WriteError> {
        match value {
            Some(value) => value.write(writer, ver),
            None => writer.string_length(None, ver.flexible),
        }
    }
}

impl<'a> Wire<'a> for &'a [u8] {
    #[inline]
    fn read(reader: &mut Reader<'a>, ver: Ver) -> Result<Self, ReadError> {
        required(reader, ver)
    }

    fn write(&self, writer: &mut Writer, ver: Ver) -> Result<(), WriteError> {
        writer.length(Some(self.len()), ver.flexible)?;
        writer.put(self);
        Ok(())
    }
}

impl<'a> Nullable<'a> for &'a [u8] {
    #[inline]
    fn read_nullable(reader: &mut Reader<'a>, ver: Ver) -> Result<Option<Self>, ReadError> {
        length(reader, ver)?.map(|length| reader.take(length)).transpose()
    }
}

impl<'a, T: Wire<'a>> Wire<'a> for Vec<T> {
    #[inline]
    fn read(reader: &mut Reader<'a>, ver: Ver) -> Result<Self, ReadError> {
        required(reader, ver)
    }

    fn write(&self, writer: &mut Writer, ver: Ver) -> Result<(), WriteError> {
        writer.length(Some(self.len()), ver.flexible)?;
        self.iter().try_for_each(|item| item.write(writer, ver))
    }
}

impl<'a, T: Wire<'a>> Nullable<'a> for Vec<T> {
    #[inline]
    fn read_nullable(reader: &mut Reader<'a>, ver: Ver) -> Result<Option<Self>, ReadError> {
        length(reader, ver)?.map(|count| elements(reader, ver, count)).transpose()
    }
}

impl<'a, T: Nullable<'a>> Wire<'a> for Option<T> {
    #[inline]
    fn read(reader: &mut Reader<'a>, ver: Ver) -> Result<Self, ReadError> {
        T::read_nullable(reader, ver)
    }

    fn write(&self, writer: &mut Writer, ver: Ver) -> Result<(), WriteError> {
        T::write_nullable(self.as_ref(), writer, ver)
    }

    fn read_tagged(reader: &mut Reader<'a>, ver: Ver) -> Result<Self, ReadError> {
        T::read_nullable_tagged(reader, ver)
    }

    fn write_tagged(&self, writer: &mut Writer, ver: Ver) -> Result<(), WriteError> {
        T::write_nullable_tagged(self.as_ref(), writer, ver)
    }
}

/// Reads a field that is nullable in some of its versions only.
#[inline]
pub(crate) fn read_gated<'a, T: Nullable<'a>>(
    reader: &mut Reader<'a>,
    ver: Ver,
    nullable: bool,
) -> Result<Option<T>, ReadError> {
    if nullable { T::read_nullable(reader, ver) } else { T::read(reader, ver).map(Some) }
}

/// Writes a field that is nullable in some of its versions only. `Ok(false)` when it is null in
/// another one.
pub(crate) fn write_gated<'a, T: Nullable<'a>>(
    value: &Option<T>,
    writer: &mut Writer,
    ver: Ver,
    nullable: bool,
) -> Result<bool, WriteError> {
    match value {
        Some(value) if !nullable => value.write(writer, ver)?,
        None if !nullable => return Ok(false),
        _ => T::write_nullable(value.as_ref(), writer, ver)?,
    }
    Ok(true)
}

#[inline]
fn length(reader: &mut Reader<'_>, ver: Ver) -> Result<Option<usize>, ReadError> {
    if ver.flexible { reader.compact_length() } else { reader.classic_length() }
}

#[inline]
fn required<'a, T: Nullable<'a>>(reader: &mut Reader<'a>, ver: Ver) -> Result<T, ReadError> {
    match T::read_nullable(reader, ver)? {
        Some(value) => Ok(value),
        None => Err(reader.error(ReadErrorKind::UnexpectedNull)),
    }
}

/// Reads `count` elements. Room is made as elements really arrive, and all of it is charged.
#[inline]
fn elements<'a, T: Wire<'a>>(
    reader: &mut Reader<'a>,
    ver: Ver,
    count: usize,
) -> Result<Vec<T>, ReadError> {
    // No element of any message is empty in any version: more elements than bytes are a lie.
    if count > reader.remaining().len() {
        return Err(reader.error(ReadErrorKind::CountTooLarge));
    }
    let element_bytes = size_of::<T>().max(1);
    let mut items: Vec<T> = Vec::new();
    while items.len() < count {
        if items.len() == items.capacity() {
            let step = items.len().saturating_mul(3).max(FIRST_RESERVE_BYTES / element_bytes);
            let more = step.max(1).min(count - items.len());
            // To grow may be to move: old and new are there at once for a moment.
            reader.charge(more.saturating_mul(element_bytes), items.len() * element_bytes)?;
            items.reserve_exact(more);
        }
        items.push(T::read(reader, ver)?);
    }
    Ok(items)
}
