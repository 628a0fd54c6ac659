package rule

import (
	"path"
	"strings"

	"sekisho/app/flow"
)

// Trust is the step after the presets, off unless a person switches it on: programs from
// this system's packages may connect. What comes in is none of its affair, and programs
// that carry whatever somebody tells them to, wherever that is, are left out: an
// interpreter, a shell or a general fetcher is as good as the program that starts it.
//
// It can't see what was loaded into a trusted program (LD_PRELOAD, a plug-in, a macro).
type Trust struct {
	// Interpreter reports whether an executable runs scripts, by its path.
	Interpreter func(path string) bool
	// RootsOwn reports whether nobody but root can have put the file at path there.
	RootsOwn func(path string) bool
}

// Distrust is why a flow is not let through by trust; empty if it is.
type Distrust string

const (
	DistrustIncoming    Distrust = "incoming"
	DistrustUnknown     Distrust = "unknown"    // no file was found behind it
	DistrustNoPackage   Distrust = "no-package" // nothing installed it
	DistrustReplaced    Distrust = "replaced"   // another file than the path says, or than was installed
	DistrustNotRoots    Distrust = "not-roots"  // others than root could have put it there
	DistrustScript      Distrust = "script"     // an interpreter with a script or code
	DistrustInterpreter Distrust = "interpreter"
	DistrustFetcher     Distrust = "fetcher" // carries anybody's traffic anywhere
)

// Judge says why a flow of p in direction d is not let through; "" if it is.
func (t Trust) Judge(p *flow.Process, d flow.Direction) Distrust {
	switch {
	case d != flow.Out:
		return DistrustIncoming
	case p == nil || !p.IsFile() || !strings.HasPrefix(p.Path, "/"):
		return DistrustUnknown
	case p.Package == "" || p.App != "" || p.Container != "": // or of another system's packages
		return DistrustNoPackage
	case p.Replaced || strings.HasSuffix(p.Path, " (deleted)") || p.Integrity == flow.Modified:
		return DistrustReplaced
	case p.Script != "" || p.Inline:
		return DistrustScript
	case t.Interpreter(p.Path) || named(interpreting, p.Path):
		return DistrustInterpreter
	case named(fetching, p.Path) || inFolder(p.Path):
		return DistrustFetcher
	case !t.RootsOwn(p.Path):
		return DistrustNotRoots
	}
	return ""
}

// named reports whether the file at p goes by one of names: itself, with a version
// ("lua5.4", "perl5.36-x86_64", "wget2"), or as one of several ("nc.openbsd", "vim.tiny").
func named(names map[string]bool, p string) bool {
	base := strings.ToLower(path.Base(p))
	if strings.HasPrefix(base, "ld-") && strings.Contains(base, ".so") {
		base = "ld.so" // runs any file that it is given, as itself
	}
	for {
		if names[base] || names[strings.TrimRight(base, "0123456789.-_")] {
			return true
		}
		i := strings.LastIndexAny(base, ".-_")
		if i <= 0 {
			return false
		}
		base = base[:i]
	}
}

// inFolder reports whether p is in a folder whose programs fetch or run what they are told
// to on their standard input or command line.
func inFolder(p string) bool {
	for _, dir := range []string{"/apt/methods/", "/git-core/", "/valgrind/", "/cups/backend/", "/gvfs/", "/kf5/kio/", "/kf6/kio/", "/jvm/"} {
		if strings.Contains(p, dir) {
			return true
		}
	}
	return false
}

func words(s string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}

// interpreting are programs that run code which they are given, beside the interpreters
// that the service reads scripts of: the dynamic linker, emulators, debuggers, editors
// and others with a language of their own.
var interpreting = words(`
	ld.so ld64.so busybox toybox coreutils env
	bash sh dash ash zsh ksh mksh fish tcsh csh yash elvish nu xonsh pwsh
	python pypy perl ruby node nodejs deno bun php lua luajit tclsh wish expect guile r rscript java mono dotnet
	awk gawk mawk gjs seed qml qjs d8 js electron swipl ghc ghci ocaml julia octave maxima sbcl clisp ecl racket
	gosh chibi erl beam.smp beam elixir iex escript gdb lldb vim vi nvim ex view emacs kak helix blender gimp
	gdbserver wine wine64 wineserver wine-preloader wine64-preloader box64 box86 fex
	qemu qemu-system qemu-user bochs dosbox virtualbox virtualboxvm vboxheadless vmware-vmx crosvm firecracker
	nix guix go cargo rustc tcc make cmake ninja bazel gradle lli llvm-jitlink llvm-rtdyld sqlite3 code codium valgrind`)

// fetching are programs that send and fetch what they are told to, to and from anywhere,
// or that carry other programs' traffic.
var fetching = words(`
	curl wget aria2c axel httpie xh lftp ftp tnftp ncftp tftp telnet rclone s3cmd aws gsutil gcloud az yt-dlp youtube-dl
	ssh sshd scp sftp sftp-server ssh-keyscan sshfs autossh mosh mosh-client dbclient dropbear putty plink pscp psftp rsync rsh rlogin
	nc ncat netcat nmap socat openssl gnutls gnutls-cli gnutls-serv s_client websocat iperf iperf3 hping hping3 nping
	gpg gpgv dirmngr hkp gpgsm git git-remote-http git-remote-https git-http-push git-http-fetch svn hg bzr cvs
	lynx links links2 elinks w3m dillo html2text surfraw ab siege wrk hey
	dig host nslookup drill kdig khost delv dog doggo q mdig dnsmasq stubby dnscrypt-proxy iodine iodined dns2tcpc
	tor torsocks privoxy polipo squid tinyproxy stunnel stunnel4 redsocks microsocks haproxy 3proxy dante danted sockd sslh ssh-proxy
	mitmproxy proxytunnel corkscrew httptunnel htc hts chisel frpc frps ngrok cloudflared
	slirp4netns pasta passt vpnkit rootlesskit rootlessport gvproxy conmon docker dockerd docker-proxy podman containerd buildah skopeo
	openvpn openconnect vpnc wg-quick xl2tpd pppd sshuttle
	flatpak snap apt apt-get aptitude dpkg dnf dnf5 yum zypper pacman apk packagekitd rpm
	whois finger logger osslsigncode debuginfod-find llvm-debuginfod-find kubectl helm
	convert identify animate compare composite conjure display import mogrify montage stream magick
	gio gvfsd-http gvfsd-dav gvfsd-ftp gvfsd-sftp kioworker kioslave kioslave5 kio_http
	mail mailx msmtp sendmail swaks mutt fetchmail nullmailer ssmtp smbclient mount.cifs systemd-socket-proxyd systemd-pull xdg-open`)
