package rundir

import "testing"

func TestNetworkKind(t *testing.T) {
	for magic, want := range map[uint32]string{
		0x6969: "NFS", 0xFF534D42: "SMB", 0xFE534D42: "SMB", 0x00C36400: "Ceph", 0x01021997: "9P",
		0xEF53: "", 0x01021994: "", 0x9123683E: "", 0x794C7630: "", // ext4, tmpfs, btrfs, overlay
	} {
		if got := networkKind(magic); got != want {
			t.Errorf("%#x: got %q, want %q", magic, got, want)
		}
	}
}
