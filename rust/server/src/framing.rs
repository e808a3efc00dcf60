//! The frame of the control protocol: a 4-byte big-endian length and that many bytes of JSON.

use std::io::{self, Read, Write};

use serde_json::Value;

/// The longest frame, either way.
pub const MAX_FRAME_BYTES: usize = 1 << 20;

/// Read one frame into `buffer`; false at the end of the connection, between two frames.
pub fn read(reader: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut length = [0; 4];
    match reader.read(&mut length[..1])? {
        0 => return Ok(false),
        _ => reader.read_exact(&mut length[1..])?,
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_FRAME_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a frame of {length} bytes"),
        ));
    }
    buffer.clear();
    let got = reader.take(length as u64).read_to_end(buffer)?;
    if got < length {
        Err(io::ErrorKind::UnexpectedEof.into())
    } else {
        Ok(true)
    }
}

/// Write one frame.
pub fn write(writer: &mut impl Write, message: &Value) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    if body.len() > MAX_FRAME_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a frame of {} bytes", body.len()),
        ));
    }
    writer.write_all(&(body.len() as u32).to_be_bytes())?;
    writer.write_all(&body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_reads_back() {
        let mut bytes = Vec::new();
        write(&mut bytes, &json!({"a": 1})).unwrap();
        write(&mut bytes, &json!({})).unwrap();
        let mut reader = &bytes[..];
        let mut buffer = Vec::new();
        assert!(read(&mut reader, &mut buffer).unwrap());
        assert_eq!(buffer, br#"{"a":1}"#);
        assert!(read(&mut reader, &mut buffer).unwrap());
        assert_eq!(buffer, b"{}");
        assert!(!read(&mut reader, &mut buffer).unwrap());
    }

    #[test]
    fn a_frame_too_long_or_cut_off_is_an_error() {
        let mut buffer = Vec::new();
        let too_long = ((MAX_FRAME_BYTES + 1) as u32).to_be_bytes();
        assert!(read(&mut &too_long[..], &mut buffer).is_err());
        for cut in [&[0_u8, 0][..], &[0, 0, 0, 5, b'{']] {
            let error = read(&mut &*cut, &mut buffer).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
        let long = json!("x".repeat(MAX_FRAME_BYTES));
        assert!(write(&mut Vec::new(), &long).is_err());
    }
}
