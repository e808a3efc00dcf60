//! Masking (RFC 6455 §5.3): keys from a pool of the operating system's randomness, and the masking itself.
//!
//! One system call fills the pool with a thousand keys, so that a frame costs none.

/// Bytes fetched from the operating system at once: 1024 keys.
const POOL_BYTES: usize = 4096;

/// Strong random bytes at the price of a copy. A refill is one `getrandom(2)`.
pub struct RandomPool {
    bytes: Box<[u8; POOL_BYTES]>,
    used: usize,
}

impl RandomPool {
    /// An empty pool; the first use fills it.
    pub fn new() -> Self {
        Self {
            bytes: Box::new([0; POOL_BYTES]),
            used: POOL_BYTES,
        }
    }

    /// `N` bytes that nobody can foretell (RFC 6455 §10.3). `N` is small: a key, a nonce, a seed.
    pub fn take<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > POOL_BYTES {
            self.refill();
        }
        let mut taken = [0; N];
        taken.copy_from_slice(&self.bytes[self.used..self.used + N]);
        self.used += N;
        taken
    }

    fn refill(&mut self) {
        let mut filled = 0;
        while filled < POOL_BYTES {
            match rustix::rand::getrandom(&mut self.bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                // Without randomness there is no safe mask and no safe port: this worker cannot go on.
                Err(error) => panic!("the operating system gives no random bytes: {error}"),
            }
        }
        self.used = 0;
    }
}

impl Default for RandomPool {
    fn default() -> Self {
        Self::new()
    }
}

/// Exclusive-or `data` with `key`, repeated; eight bytes at a time. Doing it twice undoes it.
pub fn apply(data: &mut [u8], key: [u8; 4]) {
    let wide = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let (words, rest) = data.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mask_like_bytes_at_every_length() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for length in 0..64_usize {
            let plain: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let expected: Vec<u8> = plain
                .iter()
                .enumerate()
                .map(|(i, byte)| byte ^ key[i % 4])
                .collect();
            let mut masked = plain.clone();
            apply(&mut masked, key);
            assert_eq!(masked, expected);
            apply(&mut masked, key);
            assert_eq!(masked, plain);
        }
    }

    #[test]
    fn keys_differ_and_the_pool_refills() {
        let mut pool = RandomPool::new();
        let keys: std::collections::HashSet<[u8; 16]> =
            (0..2 * POOL_BYTES / 16).map(|_| pool.take()).collect();
        assert_eq!(keys.len(), 2 * POOL_BYTES / 16);
    }
}
