//! The packets of one connection, from its first to its last.
//!
//! Packets are drawn all at once when the connection gets its port. Consecutive packets in one
//! direction are one burst; no finer time is needed, since flow logs show whole seconds.

use crate::rng::Rng;
use crate::spec::{Behaviour, Closing, Destination, Exchange, IDLE_TIMEOUT_S, Protocol, Span, Workload};

/// Where a packet is seen, as bits: client to NAT, NAT to server, server to NAT, NAT to client.
pub(crate) mod legs {
    pub(crate) const A: u8 = 1;
    pub(crate) const B: u8 = 2;
    pub(crate) const C: u8 = 4;
    pub(crate) const D: u8 = 8;
    pub(crate) const OUT: u8 = A | B;
    pub(crate) const IN: u8 = C | D;
}

/// The flags that flow logs represent.
pub(crate) mod flags {
    pub(crate) const NONE: u8 = 0;
    pub(crate) const FIN: u8 = 1;
    pub(crate) const SYN: u8 = 2;
    pub(crate) const RST: u8 = 4;
    pub(crate) const SYN_ACK: u8 = 18;
}

/// Bytes of a TCP packet without payload: IP header, TCP header, options.
const SYN_BYTES: u32 = 60;
const ACK_BYTES: u32 = 52;
const RST_BYTES: u32 = 40;

/// Packets of one direction at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Burst {
    pub(crate) at_ms: u32,
    pub(crate) packets: u32,
    pub(crate) bytes: u32,
    pub(crate) flags: u8,
    pub(crate) legs: u8,
}

impl Burst {
    /// The first packet of an attempt that gets no port: it reaches the gateway and no further.
    pub(crate) fn refused(at_ms: u32, workload: &Workload, protocol: Protocol) -> Self {
        let (bytes, flags) = match protocol {
            Protocol::Tcp => (SYN_BYTES, flags::SYN),
            Protocol::Udp | Protocol::Icmp => (workload.exchange.request_bytes.min, flags::NONE),
        };
        Self { at_ms, packets: 1, bytes, flags, legs: legs::A }
    }
}

/// When a connection gives its port back, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) released_ms: u32,
    pub(crate) timed_out: bool,
    pub(crate) established_ms: Option<u32>,
}

/// Draws the packets of a connection that got its port at `opened_ms`; those after `horizon_ms`
/// are not kept.
pub(crate) fn play(
    workload: &Workload,
    destination: &Destination,
    opened_ms: u32,
    horizon_ms: u32,
    rng: &mut Rng,
    bursts: &mut Vec<Burst>,
) -> Life {
    let mut line = Line {
        bursts,
        horizon_ms,
        rtt_ms: destination.rtt_ms.max(1),
        tcp: destination.triple.protocol == Protocol::Tcp,
        exchange: workload.exchange,
        now: opened_ms,
    };
    match workload.behaviour {
        Behaviour::LongLived { every_s, lasts_s, closing } => {
            let established_ms = line.open();
            let close_at = lasts_s.map_or(u32::MAX, |span| opened_ms + rng.draw(span) * 1000);
            line.exchange(rng);
            loop {
                let gap = rng.draw(Span::new(every_s.min * 1000, every_s.max * 1000)).max(1);
                if gap >= IDLE_TIMEOUT_S * 1000 {
                    return line.abandoned(established_ms);
                }
                if line.now.saturating_add(gap) >= close_at {
                    line.now = line.now.max(close_at);
                    return line.close(closing, established_ms, rng);
                }
                line.now += gap;
                if line.now >= horizon_ms {
                    return line.abandoned(established_ms);
                }
                line.exchange(rng);
            }
        }
        Behaviour::Leak { used_ms, exchanges, half_closed, late } => {
            let established_ms = line.open();
            line.exchanges_over(rng.draw(used_ms), rng.draw(exchanges), rng);
            if line.tcp && rng.chance(half_closed) {
                line.receive(1, ACK_BYTES, flags::FIN);
                line.send(1, ACK_BYTES, flags::NONE);
            }
            let life = line.abandoned(established_ms);
            if line.tcp && rng.chance(late) {
                line.now = life.released_ms + rng.between(1_000, 20_000);
                line.put(1, ACK_BYTES + 40, flags::NONE, legs::A);
                line.put(1, RST_BYTES, flags::RST, legs::D);
            }
            life
        }
        Behaviour::Short { lasts_ms, exchanges, closing } => {
            let established_ms = line.open();
            line.exchanges_over(rng.draw(lasts_ms), rng.draw(exchanges), rng);
            line.close(closing, established_ms, rng)
        }
        Behaviour::Unanswered { syn_retries } => {
            for retry in 0..=syn_retries {
                if line.tcp {
                    line.send(1, SYN_BYTES, flags::SYN);
                } else {
                    line.send(1, workload.exchange.request_bytes.min, flags::NONE);
                }
                if retry < syn_retries {
                    line.now += 1000 << retry;
                }
            }
            line.abandoned(None)
        }
        Behaviour::Rejected => {
            line.send(1, SYN_BYTES, flags::SYN);
            line.now += line.rtt_ms;
            line.receive(1, RST_BYTES, flags::RST);
            Life { released_ms: line.now, timed_out: false, established_ms: None }
        }
        Behaviour::TurnedAway { syn_retries, .. } => {
            for retry in 0..=syn_retries {
                line.put(1, SYN_BYTES, if line.tcp { flags::SYN } else { flags::NONE }, legs::A);
                if retry < syn_retries {
                    line.now += 1000 << retry;
                }
            }
            Life { released_ms: line.now + 1, timed_out: false, established_ms: None }
        }
        Behaviour::Unsolicited => {
            let flags = if line.tcp { flags::SYN } else { flags::NONE };
            line.put(1, RST_BYTES + 4, flags, legs::C);
            Life { released_ms: line.now, timed_out: false, established_ms: None }
        }
    }
}

impl Rng {
    pub(crate) fn draw(&mut self, span: Span) -> u32 {
        self.between(span.min, span.max)
    }
}

struct Line<'a> {
    bursts: &'a mut Vec<Burst>,
    horizon_ms: u32,
    rtt_ms: u32,
    tcp: bool,
    exchange: Exchange,
    now: u32,
}

impl Line<'_> {
    fn put(&mut self, packets: u32, bytes: u32, flags: u8, legs: u8) {
        if self.now < self.horizon_ms && packets > 0 {
            self.bursts.push(Burst { at_ms: self.now, packets, bytes, flags, legs });
        }
    }

    fn send(&mut self, packets: u32, bytes: u32, flags: u8) {
        self.put(packets, bytes, flags, legs::OUT);
    }

    fn receive(&mut self, packets: u32, bytes: u32, flags: u8) {
        self.put(packets, bytes, flags, legs::IN);
    }

    /// The three-way handshake; its last packet travels with the first request.
    fn open(&mut self) -> Option<u32> {
        if !self.tcp {
            return None;
        }
        self.send(1, SYN_BYTES, flags::SYN);
        self.now += self.rtt_ms;
        self.receive(1, SYN_BYTES, flags::SYN_ACK);
        self.send(1, ACK_BYTES, flags::NONE);
        Some(self.now)
    }

    fn exchange(&mut self, rng: &mut Rng) {
        let Exchange { request_packets, request_bytes, response_packets, response_bytes } = self.exchange;
        self.send(rng.draw(request_packets), rng.draw(request_bytes), flags::NONE);
        self.now += self.rtt_ms;
        self.receive(rng.draw(response_packets), rng.draw(response_bytes), flags::NONE);
    }

    fn exchanges_over(&mut self, time_ms: u32, exchanges: u32, rng: &mut Rng) {
        let begun = self.now;
        for i in 0..exchanges {
            let due = if exchanges > 1 { time_ms / (exchanges - 1) * i } else { 0 };
            self.now = self.now.max(begun + due);
            self.exchange(rng);
        }
        self.now = self.now.max(begun + time_ms);
        if exchanges < 2 && self.tcp {
            self.send(1, ACK_BYTES, flags::NONE);
        }
    }

    fn close(&mut self, closing: Closing, established_ms: Option<u32>, rng: &mut Rng) -> Life {
        if !self.tcp {
            return self.abandoned(established_ms);
        }
        let total = closing.client + closing.server + closing.reset;
        let drawn = rng.below(u64::from(total)) as u32;
        if drawn < closing.client {
            self.send(1, ACK_BYTES, flags::FIN);
            self.now += self.rtt_ms;
            self.receive(1, ACK_BYTES, flags::FIN);
            self.send(1, ACK_BYTES, flags::NONE);
        } else if drawn < closing.client + closing.server {
            self.receive(1, ACK_BYTES, flags::FIN);
            self.send(1, ACK_BYTES, flags::FIN);
            self.now += self.rtt_ms;
            self.receive(1, ACK_BYTES, flags::NONE);
        } else {
            self.send(1, RST_BYTES, flags::RST);
        }
        // One more millisecond: the last packet still belongs to the connection.
        Life { released_ms: self.now + 1, timed_out: false, established_ms }
    }

    /// Nothing more is sent: the gateway forgets the connection after the idle timeout.
    fn abandoned(&self, established_ms: Option<u32>) -> Life {
        Life { released_ms: self.now + IDLE_TIMEOUT_S * 1000, timed_out: true, established_ms }
    }
}
