//! Power fails in the middle of anything: what was acknowledged is there afterwards, and no batch is there in part. A medium that is
//! full takes what fits.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "the suite's helpers are shared with other tests")]

#[path = "contract/mod.rs"]
mod suite;

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
};

use conn3ction_ledger::{
    AppendError, Ledger,
    file::{
        FileLedger,
        disk::{Disk, DiskFile, LockError},
    },
};
use proptest::prelude::*;
use suite::make;

/// What a file reads as, and what of it would survive.
#[derive(Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Default)]
struct World {
    live: HashMap<String, Arc<Mutex<Content>>>,
    durable: HashMap<String, Arc<Mutex<Content>>>,
    /// Changes until the power fails.
    left: u64,
    /// Octets that a file may have; 0 for any number.
    most: usize,
}

#[derive(Clone, Default)]
struct Simulated(Arc<Mutex<World>>);

struct Open(Simulated, Arc<Mutex<Content>>);

impl Simulated {
    fn change(&self) -> io::Result<()> {
        let mut world = self.0.lock().unwrap();
        world.left = world.left.checked_sub(1).ok_or_else(|| io::Error::other("the power failed"))?;
        Ok(())
    }

    /// Unsynced sectors and names are there or not, each as `random` says; the power is back for `left` changes.
    fn power_back(&self, left: u64, random: &mut impl FnMut() -> u64) {
        let mut world = self.0.lock().unwrap();
        let names = if random().is_multiple_of(2) { world.live.clone() } else { world.durable.clone() };
        for content in names.values() {
            let mut content = content.lock().unwrap();
            let longer = content.live.len().max(content.durable.len());
            let len = [content.live.len(), content.durable.len(), longer][(random() % 3) as usize];
            let mut after = vec![0; len];
            for (number, sector) in after.chunks_mut(512).enumerate() {
                let from = if random().is_multiple_of(2) { &content.live } else { &content.durable };
                let there = from.get(number * 512..).unwrap_or_default();
                let count = there.len().min(sector.len());
                sector[..count].copy_from_slice(&there[..count]);
            }
            *content = Content { live: after.clone(), durable: after };
        }
        world.live.clone_from(&names);
        world.durable = names;
        world.left = left;
    }
}

impl Disk for Simulated {
    fn name(&self) -> String {
        "simulated".into()
    }
    fn lock(&self) -> Result<Box<dyn Send + Sync>, LockError> {
        Ok(Box::new(()))
    }
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().live.keys().cloned().collect())
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let content = self.0.lock().unwrap().live.get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Open(self.clone(), content)))
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.change()?;
        let content = Arc::default();
        self.0.lock().unwrap().live.insert(name.into(), Arc::clone(&content));
        Ok(Box::new(Open(self.clone(), content)))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change()?;
        let mut world = self.0.lock().unwrap();
        let content = world.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
        world.live.insert(to.into(), content);
        Ok(())
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.change()?;
        self.0.lock().unwrap().live.remove(name);
        Ok(())
    }
    fn sync_names(&self) -> io::Result<()> {
        self.change()?;
        let mut world = self.0.lock().unwrap();
        world.durable = world.live.clone();
        Ok(())
    }
}

impl DiskFile for Open {
    fn len(&self) -> io::Result<u64> {
        Ok(self.1.lock().unwrap().live.len() as u64)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.1.lock().unwrap();
        let there = content.live.get(offset as usize..).unwrap_or_default();
        let count = there.len().min(buffer.len());
        buffer[..count].copy_from_slice(&there[..count]);
        Ok(count)
    }
    fn write_at(&self, octets: &[u8], offset: u64) -> io::Result<()> {
        let mut failed = self.0.change();
        let most = self.0.0.lock().unwrap().most;
        let mut content = self.1.lock().unwrap();
        // What fills a hole may find no room, though what stands behind it did.
        assert!(offset as usize <= content.live.len(), "a write leaves a hole");
        let mut octets = octets;
        if most > 0 && offset as usize + octets.len() > most {
            octets = &octets[..most.saturating_sub(offset as usize)];
            failed = failed.and(Err(io::ErrorKind::StorageFull.into()));
        }
        let end = offset as usize + octets.len();
        let longer = content.live.len().max(end);
        content.live.resize(longer, 0);
        // The write in flight when the power fails has reached the cache, too.
        content.live[offset as usize..end].copy_from_slice(octets);
        failed
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.change()?;
        self.1.lock().unwrap().live.resize(len as usize, 0);
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        self.0.change()?;
        let mut content = self.1.lock().unwrap();
        content.durable = content.live.clone();
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_was_acknowledged_survives_power_loss_and_no_batch_is_torn(seed in 1u64..) {
        let mut state = seed;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let disk = Simulated::default();
        let mut acknowledged = Vec::new();
        for _life in 0..4 {
            disk.power_back(random() % 60 + 2, &mut random);
            runtime.block_on(async {
                let Ok(ledger) = FileLedger::open_on(disk.clone(), 8192) else { return };
                let ledger: Arc<dyn Ledger> = Arc::new(ledger);
                loop {
                    let head = ledger.head().await.unwrap();
                    let batch = make::batch(&head, 3);
                    match ledger.append(&head, &batch).await {
                        Ok(_) => acknowledged.extend(make::hashes(&batch.events)),
                        Err(AppendError::Unconfirmed { .. } | AppendError::Poisoned) => return,
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
            disk.power_back(1_000_000, &mut random);
            let events = runtime.block_on(async {
                let ledger: Arc<dyn Ledger> = Arc::new(FileLedger::open_on(disk.clone(), 8192).unwrap());
                make::hashes(&make::all(&ledger).await)
            });
            prop_assert_eq!(events.len() % 3, 0, "half a batch");
            prop_assert!(events.starts_with(&acknowledged), "seed {}: an acknowledged event is gone", seed);
            acknowledged = events;
        }
    }
}

#[tokio::test]
async fn a_medium_takes_each_batch_that_still_fits_and_goes_on_when_there_is_room_again() {
    let disk = Simulated::default();
    disk.0.lock().unwrap().left = u64::MAX;
    let ledger: Arc<dyn Ledger> = Arc::new(FileLedger::open_on(disk.clone(), 1 << 20).unwrap());
    let segment = disk.0.lock().unwrap().live.values().next().cloned().unwrap();
    let written = || segment.lock().unwrap().live.iter().rposition(|&octet| octet != 0).unwrap();
    let mut events = Vec::new();
    for most in [10_000, 30_000, 30_100] {
        disk.0.lock().unwrap().most = most;
        let mut longest = 0;
        loop {
            let (head, before) = (ledger.head().await.unwrap(), written());
            let batch = make::batch(&head, 1);
            match ledger.append(&head, &batch).await {
                Ok(_) => events.extend(make::hashes(&batch.events)),
                Err(AppendError::Full(_)) => break,
                Err(error) => panic!("{error:?}"),
            }
            longest = longest.max(written() - before);
        }
        let live = segment.lock().unwrap().live.len();
        assert!(live <= most && most - live < longest.max(1_000), "{live} octets of {most}, {longest} a batch");
        assert_eq!(make::hashes(&make::all(&ledger).await), events);
    }
    disk.0.lock().unwrap().most = 0;
    make::append(&ledger, 1).await;
    assert!(segment.lock().unwrap().live.len() > 200_000, "room was made ahead");
    drop(ledger);
    let opened: Arc<dyn Ledger> = Arc::new(FileLedger::open_on(disk, 1 << 20).unwrap());
    assert_eq!(make::all(&opened).await.len(), events.len() + 1);
}
