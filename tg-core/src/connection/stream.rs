//! Echoes on a stream: nothing marks packet borders, so bytes are counted and compared.

use super::{Connection, Echo, ProtocolError, Shared};

impl Connection {
    /// Bytes came on a stream. Calls `on_echo` for each thing they tell, in order.
    ///
    /// # Errors
    /// They are no echo of what was sent. What was told before still holds.
    pub fn receive_stream(
        &mut self,
        shared: &mut Shared<'_>,
        bytes: &[u8],
        mut on_echo: impl FnMut(&Connection, Echo),
    ) -> Result<(), ProtocolError> {
        let size = shared.payload.size();
        let mut bytes = bytes;
        while !bytes.is_empty() {
            if self.queue.is_empty() {
                let more = bytes.len();
                return Err(ProtocolError(format!("{more} bytes more than were sent, after {}", self.received)));
            }
            let into = (self.received % size as u64) as usize;
            let n = bytes.len().min(size - into);
            if !shared.payload.is_stream_echo(self.received, &bytes[..n]) {
                return Err(ProtocolError(format!(
                    "bytes {} to {} differ from what was sent",
                    self.received,
                    self.received + n as u64
                )));
            }
            if !self.identified {
                self.keep_head(&bytes[..n], shared.payload.identity_end());
            }
            self.received += n as u64;
            if !self.identified && self.received >= shared.payload.identity_end() as u64 {
                self.identify(shared.payload);
                self.head = Vec::new();
                on_echo(self, Echo::Identified);
            }
            if into + n == size
                && let Some(packet) = shared.outstanding.pop(shared.slot, &mut self.queue)
            {
                on_echo(self, Echo::Received(packet));
            }
            bytes = &bytes[n..];
        }
        Ok(())
    }

    fn keep_head(&mut self, bytes: &[u8], end: usize) {
        let room = end.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}
