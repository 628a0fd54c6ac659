package lab

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Numbers of linux/mptcp_pm.h.
const (
	mptcpAddAddress = 1
	mptcpSetLimits  = 5

	mptcpAddress         = 1 | unix.NLA_F_NESTED
	mptcpAcceptAddresses = 2
	mptcpSubflows        = 3

	mptcpFamily   = 1
	mptcpAddress4 = 3
	mptcpFlags    = 6

	mptcpSignal  = 1
	mptcpSubflow = 2
)

// JoinMPTCP lets the host's MPTCP connections have more subflows than their first: from
// each of the addresses at, and to those that the other end offers.
func (h *Host) JoinMPTCP(at ...netip.Addr) { h.mptcp(mptcpSubflow, at) }

// OfferMPTCP has the host offer addresses to the other ends of its MPTCP connections.
func (h *Host) OfferMPTCP(at ...netip.Addr) { h.mptcp(mptcpSignal, at) }

func (h *Host) mptcp(flags uint32, at []netip.Addr) {
	h.lab.t.Helper()
	err := h.Do(func() error {
		family, err := netlink.GenlFamilyGet("mptcp_pm")
		if err != nil {
			return err
		}
		send := func(command uint8, attributes ...nl.NetlinkRequestData) error {
			r := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
			r.AddData(&nl.Genlmsg{Command: command, Version: nl.GENL_CTRL_VERSION})
			for _, a := range attributes {
				r.AddData(a)
			}
			_, err := r.Execute(unix.NETLINK_GENERIC, 0)
			return err
		}
		if err := send(mptcpSetLimits, nl.NewRtAttr(mptcpAcceptAddresses, nl.Uint32Attr(4)), nl.NewRtAttr(mptcpSubflows, nl.Uint32Attr(4))); err != nil {
			return err
		}
		for _, a := range at {
			address := nl.NewRtAttr(mptcpAddress, nil)
			address.AddRtAttr(mptcpFamily, nl.Uint16Attr(unix.AF_INET))
			address.AddRtAttr(mptcpAddress4, a.AsSlice())
			address.AddRtAttr(mptcpFlags, nl.Uint32Attr(flags))
			if err := send(mptcpAddAddress, address); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		h.lab.t.Fatalf("host %s: MPTCP: %v", h.Name, err)
	}
}
