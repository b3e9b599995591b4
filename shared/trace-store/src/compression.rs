use std::io::Read as _;

use crate::StoreError;

/// zstd's own default.
const LEVEL: i32 = 3;

pub(crate) fn compress(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, LEVEL)
        .expect("compression into memory fails only for a level that does not exist")
}

/// Refuses to unfold into more than `at_most` bytes: a stored item is data, and not trusted
/// with the process's memory.
pub(crate) fn decompress(
    compressed: &[u8],
    at_most: u64,
    what: &'static str,
) -> Result<Vec<u8>, StoreError> {
    let damaged = |source| StoreError::damaged_by(what, "it does not decompress", source);
    let decoder = zstd::stream::read::Decoder::with_buffer(compressed).map_err(damaged)?;
    let mut bytes = Vec::new();
    decoder
        .take(at_most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(damaged)?;
    if bytes.len() as u64 > at_most {
        return Err(StoreError::damaged(what, "it is larger than it says"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_refused_in_bounded_memory() {
        let bomb = compress(&vec![0; 64 << 20]);
        assert!(bomb.len() < 16 << 10);
        let refused = decompress(&bomb, 1 << 20, "structure chunk").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a stored structure chunk is damaged: it is larger than it says"
        );
        assert_eq!(
            decompress(&bomb, 64 << 20, "structure chunk")
                .unwrap()
                .len(),
            64 << 20
        );
    }

    #[test]
    fn damage_is_told() {
        let mut compressed = compress(b"some text that is long enough to be compressed at all");
        let last = compressed.len() - 1;
        compressed.truncate(last);
        assert!(decompress(&compressed, 1000, "body").is_err());
        assert!(decompress(b"not zstd", 1000, "body").is_err());
    }
}
