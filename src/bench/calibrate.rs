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
    let other = thread::spawn(move || {
        loop {
            match theirs.load(Ordering::Acquire) {
                STOP => return,
                number if number % 2 == 1 => theirs.store(number + 1, Ordering::Release),
                _ => spin_loop(),
            }
        }
    });
    let started = Instant::now();
    let mut number = 0;
    while started.elapsed() < SPAN {
        for _ in 0..64 {
            turn.store(number + 1, Ordering::Release);
            while turn.load(Ordering::Acquire) != number + 2 {
                spin_loop();
            }
            number += 2;
        }
    }
    let nanos = started.elapsed().as_nanos() as f64;
    turn.store(STOP, Ordering::Release);
    joined(other)?;
    Ok(nanos / number as f64)
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
const N_WAKES: u64 = 2000;
const BLOCK: usize = 64 * 1024;
const STOP: u64 = u64::MAX;
