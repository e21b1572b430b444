//! Frames that are about the connection or about windows: SETTINGS, PING, WINDOW_UPDATE, RST_STREAM, GOAWAY.
use super::flood::Kind;
use super::frame::{self, Code, Frame};
use super::state::{Fatal, Incoming, Role, State, Stream};
use super::{FRAME_BYTES, MAX_STREAMS};

impl State {
    pub(super) fn settings(&mut self, head: Frame, payload: &[u8]) -> Result<(), Fatal> {
        const STREAMS: u16 = 3;
        const WINDOW: u16 = 4;
        const FRAME: u16 = 5;
        const PUSH: u16 = 2;
        if head.stream != 0 {
            return Err(Fatal(Code::Protocol, "settings-on-stream"));
        }
        let size = |wrong: bool| if wrong { Err(Fatal(Code::FrameSize, "settings-size")) } else { Ok(()) };
        self.note(Kind::Settings)?;
        if head.has(frame::ACK) {
            return size(!payload.is_empty());
        }
        size(!payload.len().is_multiple_of(6))?;
        if !std::mem::replace(&mut self.settled, true) {
            self.streams.values_mut().for_each(Stream::wake_reader);
        }
        for setting in payload.chunks_exact(6) {
            let [a, b, value @ ..] = setting else { continue };
            let value = u32::from_be_bytes(value.try_into().unwrap_or_default());
            match u16::from_be_bytes([*a, *b]) {
                STREAMS => self.peer.streams = (value as usize).min(MAX_STREAMS),
                WINDOW => self.window_setting(value)?,
                FRAME if !(16_384..=0x00ff_ffff).contains(&value) => {
                    return Err(Fatal(Code::Protocol, "frame-size-setting"));
                }
                FRAME => self.peer.frame_bytes = (value as usize).min(FRAME_BYTES),
                PUSH if value > 1 || value == 1 && self.role != Role::Server => {
                    return Err(Fatal(Code::Protocol, "push-setting"));
                }
                // How much this side's compression may remember matters not: it remembers nothing.
                _ => {}
            }
        }
        frame::put_head(&mut self.out, 0, frame::SETTINGS, frame::ACK, 0);
        Ok(())
    }

    fn window_setting(&mut self, value: u32) -> Result<(), Fatal> {
        if value > frame::MAX_31 {
            return Err(Fatal(Code::FlowControl, "window-setting"));
        }
        let more = i64::from(value) - self.peer.window;
        self.peer.window = i64::from(value);
        for stream in self.streams.values_mut() {
            stream.send_window += more;
            if stream.send_window > i64::from(frame::MAX_31) {
                return Err(Fatal(Code::FlowControl, "window-setting"));
            }
        }
        self.wake_writers();
        Ok(())
    }

    pub(super) fn ping(&mut self, head: Frame, payload: &[u8]) -> Result<(), Fatal> {
        if head.stream != 0 {
            return Err(Fatal(Code::Protocol, "ping-on-stream"));
        }
        if payload.len() != 8 {
            return Err(Fatal(Code::FrameSize, "ping-size"));
        }
        self.note(Kind::Ping)?;
        if !head.has(frame::ACK) {
            frame::put_head(&mut self.out, 8, frame::PING, frame::ACK, 0);
            self.out.extend_from_slice(payload);
        }
        Ok(())
    }

    pub(super) fn window_update(&mut self, head: Frame, payload: &[u8]) -> Result<(), Fatal> {
        let Ok(more) = <[u8; 4]>::try_from(payload) else {
            return Err(Fatal(Code::FrameSize, "window-update-size"));
        };
        let more = i64::from(u32::from_be_bytes(more) & frame::MAX_31);
        self.note(Kind::WindowUpdate)?;
        let id = head.stream;
        if id == 0 {
            self.send_window += more;
            if more == 0 {
                return Err(Fatal(Code::Protocol, "window-update-of-nothing"));
            }
            if self.send_window > i64::from(frame::MAX_31) {
                return Err(Fatal(Code::FlowControl, "connection-window-overflows"));
            }
            self.wake_writers();
            return Ok(());
        }
        let Some(stream) = self.streams.get_mut(&id) else {
            // Those for streams that have ended are on their way for a while.
            return match self.is_idle(id) {
                true => Err(Fatal(Code::Protocol, "window-update-on-idle-stream")),
                false => Ok(()),
            };
        };
        stream.send_window += more;
        if stream.incoming == Incoming::Reset {
            return Ok(());
        }
        match (more, stream.send_window > i64::from(frame::MAX_31)) {
            (0, _) => self.misused(id, Code::Protocol, Incoming::Reset),
            (_, true) => self.misused(id, Code::FlowControl, Incoming::Reset),
            _ => {
                stream.writer.take().into_iter().for_each(std::task::Waker::wake);
                Ok(())
            }
        }
    }

    pub(super) fn reset(&mut self, head: Frame, payload: &[u8]) -> Result<(), Fatal> {
        if payload.len() != 4 {
            return Err(Fatal(Code::FrameSize, "reset-size"));
        }
        if self.is_idle(head.stream) {
            return Err(Fatal(Code::Protocol, "reset-of-idle-stream"));
        }
        if let Some(stream) = self.streams.get_mut(&head.stream) {
            let no_error = payload == (Code::NoError as u32).to_be_bytes();
            // An upstream that has answered may say that it needs no more of the request.
            if !(no_error && stream.incoming == Incoming::Ended && self.role != Role::Server) {
                stream.incoming = Incoming::Reset;
            }
            stream.sent_end = true;
            stream.wake();
        }
        self.note(Kind::Reset)
    }

    /// Passes over requests that ended before anybody looked at them: what a hundred of them cost is not asked of others.
    pub(super) fn leave_taken_back(&mut self) {
        let mut born = std::mem::take(&mut self.born);
        born.retain(|born| {
            let id = born.stream;
            let over = self.streams.get(&id).is_some_and(|stream| stream.incoming == Incoming::Reset);
            // One that is refused is told of whatever became of it.
            if !over || born.wrong.is_some() {
                return true;
            }
            let unread = self.streams.remove(&id).map_or(0, |stream| stream.data.len());
            self.give_back(id, unread);
            false
        });
        self.born = born;
    }

    /// The other side begins nothing more, and takes nothing more after that stream.
    pub(super) fn goaway(&mut self, last: u32) -> Result<(), Fatal> {
        if let Role::Client { .. } = self.role {
            self.closing = Some(self.closing.map_or(last, |before| before.min(last)));
            for (_, stream) in self.streams.iter_mut().filter(|(id, _)| **id > last) {
                stream.incoming = Incoming::Reset;
                stream.sent_end = true;
                stream.wake();
            }
        }
        self.note(Kind::Settings)
    }
}
