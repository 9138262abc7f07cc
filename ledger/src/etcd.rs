//! A log in etcd: the key range is the truth, the watch a doorbell.
