package main

// pin is an npm package of one version. What the registry sends is refused unless it has this hash.
type pin struct {
	name, version string
	integrity     string // as package-lock.json has it: sha512, in base64
}

// packages are what the page is bundled with. All are under the MIT licence.
var packages = []pin{
	{"preact", "11.2.0", "sha512-/HfHI/7N84e6GrWBJ3J280z3mLaRJiDcSvj/A+y/4AbLnND/1UlGHe1sR6oYuTGwId0nP7dqDU9OnLxMPZ7xBg=="},
	{"@preact/signals", "2.11.4", "sha512-Rb+5RPo9gWSaHtzJeauhHxiC8KP/IF2DEPkHPEOGOnuy2wnJzRqyeLRankUCYd6ADqtxS6GnWGv6Ie343d8aYw=="},
	{"@preact/signals-core", "1.14.5", "sha512-vcRv7Ityz5JVmeiVqIluLFzT/PDS/AlhHUpw3/aUWqcVUs6bDGIPXE/6RSC4evBNWYvnniozg5Syfj33al3gkg=="},
	{"uplot", "1.6.32", "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw=="},
}

// axe looks for what people with a disability cannot use. Tests run it in the page; it is in no bundle. Its licence is the MPL.
var axe = pin{"axe-core", "4.14.1", "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="}

// compilers are the TypeScript compiler, which is a program of its own for each platform. It checks types and is in no bundle.
var compilers = map[string]pin{
	"linux/amd64":   {"@typescript/typescript-linux-x64", "7.0.2", "sha512-EYdf2cNg7rgCWJnxCdJ+F3V39O8ihb37eHAu1LK8oAFizgTQbPOK7zHHXbPt8rX24COqODXeI3sIf0fCXG7H/A=="},
	"linux/arm64":   {"@typescript/typescript-linux-arm64", "7.0.2", "sha512-Qh4eU4/y3yDjnfjjyPYihMj5/ODIlmt+Bzu17OI+fiSRDW57QmU5SiN63exPRNJPKUzcc1INa1NXdrJ+MqHjUQ=="},
	"darwin/arm64":  {"@typescript/typescript-darwin-arm64", "7.0.2", "sha512-gowzar9MwS/aRWp6f3a4KUqzRjAZjOsmGNCM6LcTgXum+dBfgsBVMN+AgvOCCbguXyick6LJhpBszxMebJ8syA=="},
	"darwin/amd64":  {"@typescript/typescript-darwin-x64", "7.0.2", "sha512-SZ9xZInqApNlNGc9s0W1VSsktYSOe9cFqNOIqmN1Gs8SmkjKZYFt017G4VwPxASInODuAdbTW7sXiFUf893RgA=="},
	"windows/amd64": {"@typescript/typescript-win32-x64", "7.0.2", "sha512-0BQ3HkAHHlKLSp1qRvf3SUhGpGsDuhB/jgFw75guyqbxJqEaS0Cw/VFO8i2nHglJUzQCRtMMR/IBAKE3ETMC4g=="},
}
