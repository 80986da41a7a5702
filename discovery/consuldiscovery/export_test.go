package consuldiscovery

// What the tests take apart.
var (
	ParseEntries = parseEntries
	WriteMeta    = writeMeta
	ReadMeta     = readMeta
)
