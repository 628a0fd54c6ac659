package process

import (
	"path/filepath"
	"strings"
)

// option says what an interpreter's option does with the words after it.
type option uint8

const (
	flag   option = iota // stands alone; also every option that is not listed
	value                // takes the next word, or what follows in its own
	rest                 // swallows the rest of its own word
	code                 // the code is in the option, in a module, or on standard input
	file                 // its value is the script
	folder               // its value is the folder that the script is looked for in
)

// interpreter is the command line of one language: what to skip before the script.
// To add a language, add its row, and its other names to alias.
type interpreter struct {
	options map[string]option
	words   bool // options of one dash are words too, not letters in a row
	plus    bool // + turns options off, and -o takes the next word
	fold    bool // letters' case doesn't matter
	// commands are the words that may stand before the script; code ends the search.
	commands map[string]option
	// only says whether the first word that is no option is a script's file; nil: always.
	only func(word string, sub bool) bool
}

var alias = map[string]string{
	"nodejs": "node", "pypy": "python", "pypy3": "python", "bash": "sh", "rbash": "sh", "dash": "sh",
	"ash": "sh", "zsh": "sh", "ksh": "sh", "mksh": "sh", "lksh": "sh", "yash": "sh", "posh": "sh",
	"jruby": "ruby", "wish": "tclsh", "gawk": "awk", "mawk": "awk", "mono-sgen": "mono",
	"powershell": "pwsh", "suidperl": "perl",
}

func options(kinds map[option]string) map[string]option {
	m := map[string]option{}
	for kind, words := range kinds {
		for w := range strings.FieldsSeq(words) {
			m[w] = kind
		}
	}
	return m
}

func never(string, bool) bool { return false }

func ends(suffixes ...string) func(string, bool) bool {
	return func(word string, _ bool) bool {
		for _, s := range suffixes {
			if strings.EqualFold(filepath.Ext(word), s) {
				return true
			}
		}
		return false
	}
}

var interpreters = map[string]*interpreter{
	"python": {options: options(map[option]string{
		code: "-c -m -i", value: "-W -X -Q --check-hash-based-pycs"})},
	"perl": {options: options(map[option]string{
		code: "-e -E", value: "-I", rest: "-M -m -C -D -F -i -x -V -d"})},
	"ruby": {options: options(map[option]string{
		code: "-e", folder: "-C -X", rest: "-F -K -x -i -T -W",
		value: "-I -r -E --encoding --external-encoding --internal-encoding --enable --disable --backtrace-limit"})},
	"node": {words: true, commands: map[string]option{"inspect": flag, "debug": flag},
		options: options(map[option]string{
			code: "-e --eval -p --print -pe --run -i --interactive",
			value: `-r --require --import --loader --experimental-loader -C --conditions --input-type --title
				--icu-data-dir --inspect-port --debug-port --disable-warning --openssl-config --redirect-warnings
				--stack-trace-limit --tls-cipher-list --tls-keylog --trace-event-categories
				--trace-event-file-pattern --unhandled-rejections --diagnostic-dir --dns-result-order
				--experimental-default-type --heapsnapshot-signal --max-http-header-size --secure-heap
				--secure-heap-min --watch-path --env-file --env-file-if-exists --disable-proto --network-family-autoselection-attempt-timeout
				--localstorage-file --report-dir --report-directory --report-filename --report-signal
				--test-name-pattern --test-reporter --test-reporter-destination --use-largepages
				--cpu-prof-dir --cpu-prof-name --heap-prof-dir --heap-prof-name --snapshot-blob
				--experimental-config-file --allow-fs-read --allow-fs-write`})},
	"deno": {words: true,
		commands: map[string]option{"run": flag, "serve": flag, "test": flag, "bench": flag, "compile": flag,
			"eval": code, "repl": code, "task": code, "install": code, "add": code, "x": code, "jupyter": code, "lsp": code,
			"upgrade": code, "cache": code, "init": code, "publish": code},
		options: options(map[option]string{value: `-c --config --import-map --cert --lock -L --log-level --location
			--seed --ext --preload --require --port --host`})},
	"bun": {words: true,
		commands: map[string]option{"run": flag, "test": code, "x": code, "install": code, "i": code, "add": code,
			"remove": code, "update": code, "create": code, "repl": code, "exec": code, "upgrade": code, "publish": code},
		options: options(map[option]string{code: "-e --eval -p --print", folder: "--cwd",
			value: "-r --preload --require --import -c --config --env-file --tsconfig-override -d --define -l --loader --port --conditions -F --filter --jsx-factory"}),
		// "run dev" is a line of package.json, and a bare word may be one too.
		only: func(w string, _ bool) bool { return strings.ContainsAny(w, "./") }},
	"php": {options: options(map[option]string{
		code: "-r -B -R -E --run --process-begin --process-code --process-end", file: "-f -F --file --process-file",
		value: "-c -d -z -t -S --php-ini --define --zend-extension --docroot --server"})},
	"lua": {options: options(map[option]string{code: "-e -b", value: "-l -j", rest: "-O"})},
	"sh": {plus: true, options: options(map[option]string{
		code: "-c -s", value: "-o -O --rcfile --init-file --emulate"})},
	"fish": {options: options(map[option]string{
		code:  "-c -C --command --init-command",
		value: "-d -o -f -p --debug --debug-output --features --profile --profile-startup"})},
	"tclsh":  {words: true, options: options(map[option]string{value: "-encoding"})},
	"expect": {options: options(map[option]string{code: "-c", file: "-f", value: "-D"})},
	"guile": {options: options(map[option]string{
		code: "-c", file: "-s", value: "-e -l -L -C -x"})},
	"Rscript": {words: true, options: options(map[option]string{code: "-e"})},
	"R": {words: true, options: options(map[option]string{
		code: "-e", file: "-f --file", value: "-d --debugger -g --gui"}), only: never},
	"java": {words: true, options: options(map[option]string{
		file: "-jar", code: "-m --module",
		value: `-cp -classpath --class-path -p --module-path --upgrade-module-path --add-modules --add-opens
			--add-exports --add-reads --patch-module --enable-native-access --source --limit-modules`}), only: ends(".java")},
	"mono":   {words: true, options: options(map[option]string{value: "--config"}), only: ends(".exe", ".dll")},
	"dotnet": {words: true, commands: map[string]option{"exec": flag}, options: options(map[option]string{value: "--depsfile --runtimeconfig --additionalprobingpath --fx-version"}), only: ends(".dll", ".exe")},
	"pwsh": {words: true, fold: true, options: options(map[option]string{
		file: "-f -file", code: "-c -command -e -ec -encodedcommand -cwa -commandwithargs -s -servermode -sshservermode",
		folder: "-wd -wo -workingdirectory",
		value: `-ep -ex -executionpolicy -if -inp -inputformat -o -of -outputformat -config -configurationname
			-configurationfile -custompipename -settings -settingsfile -w -windowstyle -v -version`})},
	"awk": {options: options(map[option]string{file: "-f --file", value: "-F -v --field-separator --assign"}), only: never},
	"gjs": {options: options(map[option]string{code: "-c --command", value: "-I --include-path --coverage-prefix --coverage-output --profile"})},
}
