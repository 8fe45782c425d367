use super::*;

#[test]
#[cfg(target_endian = "little")]
fn inode_of_finds_the_local_address() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0\n\
        1: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 20 4";
    assert_eq!(inode_of(table, "127.0.0.1:50000".parse().unwrap()).as_deref(), Some("4242"));
    assert_eq!(inode_of(table, "127.0.0.1:50001".parse().unwrap()), None);
}
