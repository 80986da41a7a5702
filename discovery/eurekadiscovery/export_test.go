package eurekadiscovery

// ParseApps is what a watch reads.
var ParseApps = parseApps
