//! What the machine can do at the moment, so that figures of different machines and times can be
//! held against each other: each is bare code of a few lines, without anything of ours.

use std::hint::{black_box, spin_loop};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Figure;
use super::histogram::Histogram;
use super::measure::QUANTILES;

/// Ring, line, wake and loopback, each as often as there are values.
pub fn machine() -> Result<Vec<Figure>> {
    eprintln!("calibrate ..");
    let figure = |what: &'static str, unit, values| Figure::new("calibrate", (what, unit), values);
    let times = |measure: fn() -> Result<f64>| -> Result<Vec<f64>> {
        (0..N_TIMES).map(|_| measure()).collect()
    };
    Ok(vec![
        figure("ring of 4096, items", "M/s", times(ring)?),
        figure("line between threads, one way", "ns", times(line)?),
        figure("wake of a thread", "us", times(wake)?),
        figure("loopback, writes of 64 KiB", "GB/s", times(loopback)?),
    ])
}

/// Numbers a second through a ring of one producer and one consumer.
fn ring() -> Result<f64> {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<u64>::new(4096);
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let reader = thread::spawn(move || {
        let mut n_read = 0u64;
        while !seen.load(Ordering::Relaxed) {
            match consumer.pop() {
                Ok(item) => {
                    black_box(item);
                    n_read += 1;
                }
                Err(_) => spin_loop(),
            }
        }
        n_read
    });
    let started = Instant::now();
    let mut item = 0;
    while started.elapsed() < SPAN {
        for _ in 0..64 {
            match producer.push(item) {
                Ok(()) => item += 1,
                Err(_) => spin_loop(),
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let n_read = joined(reader)?;
    Ok(n_read as f64 / started.elapsed().as_secs_f64() / 1e6)
}

/// Nanoseconds for a cache line from one thread to another.
fn line() -> Result<f64> {
    let turn = Arc::new(AtomicU64::new(0));
    let theirs = Arc::clone(&turn);
    let other = thread::spawn(move || answer(&theirs));
    let started = Instant::now();
    let mut number = 0;
    while started.elapsed() < SPAN {
        for _ in 0..64 {
            pass(&turn, &mut number);
        }
    }
    let nanos = started.elapsed().as_nanos() as f64;
    turn.store(STOP, Ordering::Release);
    joined(other)?;
    Ok(nanos / number as f64)
}

/// What `line` finds in its best moment of a few milliseconds: on a host that moves virtual cores
/// about it tells whether ours are near each other just now.
pub fn quiet_line() -> Result<f64> {
    let turn = Arc::new(AtomicU64::new(0));
    let theirs = Arc::clone(&turn);
    let other = thread::spawn(move || answer(&theirs));
    let mut best = f64::MAX;
    let started = Instant::now();
    let mut number = 0;
    while started.elapsed() < QUIET_SPAN {
        let burst = Instant::now();
        for _ in 0..32 {
            pass(&turn, &mut number);
        }
        best = best.min(burst.elapsed().as_nanos() as f64 / 64.0);
    }
    turn.store(STOP, Ordering::Release);
    joined(other)?;
    Ok(best)
}

/// Writes the next number into the line and waits for the one that the other thread writes.
#[inline]
fn pass(turn: &AtomicU64, number: &mut u64) {
    turn.store(*number + 1, Ordering::Release);
    while turn.load(Ordering::Acquire) != *number + 2 {
        spin_loop();
    }
    *number += 2;
}

/// The other thread: adds one to each odd number, until told to stop.
fn answer(turn: &AtomicU64) {
    loop {
        match turn.load(Ordering::Acquire) {
            STOP => return,
            number if number % 2 == 1 => turn.store(number + 1, Ordering::Release),
            _ => spin_loop(),
        }
    }
}

/// Two threads that never sleep and two rings: numbers go there and come back at a rate, each due
/// at its time. What is late here, no engine has on its conscience.
pub fn there_and_back(
    case: &str,
    rate: f64,
    n_windows: usize,
    window: Duration,
) -> Result<Vec<Figure>> {
    let mut quantiles = vec![Vec::new(); QUANTILES.len()];
    for _ in 0..n_windows {
        let late = paced_ring(rate, window)?;
        for ((quantile, _), values) in QUANTILES.iter().zip(&mut quantiles) {
            values.push(late.quantile(*quantile).unwrap_or(0) as f64 / 1e3);
        }
    }
    let named = QUANTILES.iter().zip(quantiles);
    let figure = |((_, name), values): (&(f64, &str), Vec<f64>)| {
        let what = format!("a bare ring there and back, {name}");
        Figure::new(case, (what, "us"), values).better_when_less()
    };
    Ok(named.map(figure).collect())
}

fn paced_ring(rate: f64, span: Duration) -> Result<Histogram> {
    let (mut there, mut taken) = rtrb::RingBuffer::<u64>::new(8192);
    let (mut back, mut returned) = rtrb::RingBuffer::<u64>::new(8192);
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let echo = thread::spawn(move || {
        while !seen.load(Ordering::Relaxed) {
            match taken.pop() {
                // As large as the other ring, which holds all that is under way.
                Ok(item) => drop(back.push(item)),
                Err(_) => spin_loop(),
            }
        }
    });
    let nanos_each = 1e9 / rate.max(1.0);
    let due = |number: u64| (number as f64 * nanos_each) as u64;
    let (mut n_sent, mut n_back) = (0, 0);
    let mut late = Histogram::new();
    let started = Instant::now();
    let n_nanos = span.as_nanos() as u64;
    loop {
        let now = started.elapsed().as_nanos() as u64;
        if now >= n_nanos {
            break;
        }
        while n_sent - n_back < UNDER_WAY_MAX && due(n_sent) <= now && there.push(n_sent).is_ok() {
            n_sent += 1;
        }
        while let Ok(number) = returned.pop() {
            n_back += 1;
            if number % STAMP_EVERY == 0 {
                let now = started.elapsed().as_nanos() as u64;
                late.record(now.saturating_sub(due(number)));
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    joined(echo)?;
    Ok(late)
}

/// Microseconds from an unpark to the thread that was parked.
fn wake() -> Result<f64> {
    let turn = Arc::new(AtomicU64::new(0));
    let (theirs, caller) = (Arc::clone(&turn), thread::current());
    let other = thread::spawn(move || {
        for round in 0..N_WAKES {
            while theirs.load(Ordering::Acquire) != 2 * round + 1 {
                thread::park();
            }
            theirs.store(2 * round + 2, Ordering::Release);
            caller.unpark();
        }
    });
    let started = Instant::now();
    for round in 0..N_WAKES {
        turn.store(2 * round + 1, Ordering::Release);
        other.thread().unpark();
        while turn.load(Ordering::Acquire) != 2 * round + 2 {
            thread::park();
        }
    }
    let micros = started.elapsed().as_nanos() as f64 / 1e3;
    joined(other)?;
    Ok(micros / (2 * N_WAKES) as f64)
}

/// Gigabytes a second over a connection to ourselves.
fn loopback() -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
    let address = listener.local_addr()?;
    let reader = thread::spawn(move || -> std::io::Result<u64> {
        let (mut stream, _) = listener.accept()?;
        let mut buffer = vec![0; BLOCK];
        let mut n_bytes = 0;
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(n_bytes),
                n => n_bytes += n as u64,
            }
        }
    });
    let mut stream = TcpStream::connect(address)?;
    let block = vec![7; BLOCK];
    let started = Instant::now();
    while started.elapsed() < SPAN {
        stream.write_all(&block)?;
    }
    drop(stream);
    let n_bytes = joined(reader)??;
    Ok(n_bytes as f64 / started.elapsed().as_secs_f64() / 1e9)
}

fn joined<T>(thread: JoinHandle<T>) -> Result<T> {
    let joined = thread.join();
    joined.map_err(|_| anyhow::anyhow!("a thread of the calibration ended by a fault"))
}

const N_TIMES: usize = 5;
const SPAN: Duration = Duration::from_millis(200);
const QUIET_SPAN: Duration = Duration::from_millis(20);
/// As many as a spout of the acked cases may have pending.
const UNDER_WAY_MAX: u64 = 5000;
/// One number in so many is looked at.
const STAMP_EVERY: u64 = 64;
const N_WAKES: u64 = 2000;
const BLOCK: usize = 64 * 1024;
const STOP: u64 = u64::MAX;
