// Sekishoctl is the firewall's command line: everything that the tray app can do, for
// terminals, SSH and scripts. It decides nothing and keeps nothing; every command is
// one file that turns arguments into calls of the service (app/api) and answers into
// text or JSON. Only try starts anything: a service of its own, in the foreground.
//
// Everything that comes from programs and names is escaped before it is printed.
package main

import "os"

// version is set by the linker.
var version = "dev"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
