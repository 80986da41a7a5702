package rundir

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

func base() (string, error) {
	dir, err := os.UserCacheDir() // %LocalAppData%
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "hanse", "run"), nil
}

// private has nothing to check: the profile's access list already keeps other users out.
func private(string, fs.FileInfo) error { return nil }

// network returns what says that the folder is on another machine, or "".
func network(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	volume := filepath.VolumeName(abs)
	if len(volume) > 2 && volume[1] != ':' {
		return volume, nil // \\server\share
	}
	root, err := windows.UTF16PtrFromString(volume + `\`)
	if err != nil {
		return "", err
	}
	if windows.GetDriveType(root) == windows.DRIVE_REMOTE {
		return "drive " + volume, nil
	}
	return "", nil
}

func folderID(dir string) (string, error) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return "", err
	}
	h, err := windows.CreateFile(path, 0, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil,
		windows.OPEN_EXISTING, windows.FILE_FLAG_BACKUP_SEMANTICS, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer windows.CloseHandle(h)
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &info); err != nil {
		return "", &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	return fmt.Sprintf("%d %d %d", info.VolumeSerialNumber, info.FileIndexHigh, info.FileIndexLow), nil
}

// bootID identifies the installation; which boot it is Windows does not tell reliably, and leases of an earlier boot are gone anyway.
func bootID() (string, error) {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Cryptography`, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return "", err
	}
	defer k.Close()
	id, _, err := k.GetStringValue("MachineGuid")
	return id, err
}
