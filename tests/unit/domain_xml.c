// SPDX-License-Identifier: GPL-2.0-or-later
/* user/lib/domain_xml.c: what is in a domain, and which ones another host may define. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "lib/domain_xml.h"

#include "kselftest_harness.h"

#define UUID "11111111-2222-4333-8444-555555555555"
#define IDS  "<name>vm1</name><uuid>" UUID "</uuid>"
#define DISK "<disk type='block' device='disk'><source dev='/dev/mapper/vm1-disk0'/><target dev='vda'/></disk>"

static const char *const devices[] = { "/dev/mapper/vm1-disk0", "/dev/mapper/vm1-disk1" };
static struct domain_xml found;
static struct failure why;

static uint32_t check(const char *text)
{
	return domain_xml_check(text, devices, ARRAY_SIZE(devices), &found, &why) ? why.code : 0;
}

/* In a <domain>, beside its name and UUID. */
static uint32_t with(const char *elements)
{
	char text[8192];

	(void)snprintf(text, sizeof(text), "<domain type='kvm'>" IDS "%s</domain>", elements);
	return check(text);
}

static uint32_t with_device(const char *elements)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), "<devices>" DISK "%s</devices>", elements);
	return with(text);
}

static uint32_t with_os(const char *elements)
{
	char text[4096];

	(void)snprintf(text, sizeof(text), "<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>%s</os>", elements);
	return with(text);
}

static const char usual[] =
	"<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n " IDS "\n"
	"<title>a/b</title><metadata><x:os xmlns:x='http://x/'><script>/bin/sh</script> /etc/passwd</x:os></metadata>\n"
	"<memory unit='KiB'>8192</memory><vcpu placement='static'>2</vcpu><resource><partition>/machine</partition></resource>\n"
	"<sysinfo type='smbios'><system><entry name='product'>A/B</entry></system></sysinfo>\n"
	"<os firmware='efi'><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>"
	"<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>"
	"<nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>/var/lib/libvirt/qemu/nvram/vm1_VARS.fd</nvram></os>\n"
	"<features><acpi/></features><cpu mode='host-passthrough'/><clock offset='utc'/>\n"
	"<seclabel type='dynamic' model='apparmor' relabel='yes'/><devices>\n"
	"<emulator>/usr/bin/qemu-system-x86_64</emulator>" DISK
	"<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>"
	"<interface type='bridge'><source bridge='br0'/></interface><serial type='pty'><target port='0'/></serial>"
	"<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
	"<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm><graphics type='vnc' passwd='secret'/>"
	"<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
	"</devices></domain>";

TEST(what_virt_install_makes_is_taken)
{
	struct uuid uuid;

	ASSERT_EQ(0, check(usual))
	{
		TH_LOG("%s", why.text);
	}
	(void)uuid_parse(UUID, &uuid);
	EXPECT_TRUE(uuid_equal(&uuid, &found.uuid));
	EXPECT_STREQ("vm1", found.name);
	EXPECT_STREQ("/var/lib/libvirt/qemu/nvram/vm1_VARS.fd", found.nvram);
	EXPECT_STREQ("/usr/bin/qemu-system-x86_64", found.emulator);
}

TEST(nvram_in_its_newer_form_is_found)
{
	EXPECT_EQ(0, with_os("<nvram type='file' format='qcow2'>\n<source file='/var/lib/libvirt/qemu/nvram/vm1_VARS.qcow2'/>\n"
			     "</nvram>"));
	EXPECT_STREQ("/var/lib/libvirt/qemu/nvram/vm1_VARS.qcow2", found.nvram);
}

TEST(what_reaches_beyond_the_vm_is_refused_by_its_element)
{
	static const char *const elements[] = {
		"<hostdev mode='subsystem' type='pci'/>", "<filesystem type='mount'/>", "<shmem name='x'/>",
		"<memory model='nvdimm'/>", "<lease/>", "<smartcard mode='host'/>", "<crypto model='virtio'/>",
		"<interface type='bridge'><script path='x'/></interface>",
		"<serial type='pty'><log file='x'/></serial>",
		"<interface type='user'><portForward proto='tcp'/></interface>",
		"<disk><source dev='/dev/mapper/vm1-disk0'><seclabel><label>x</label></seclabel></source></disk>",
		"<qemu:x/>",
	};

	for (size_t i = 0; i < ARRAY_SIZE(elements); i++) {
		EXPECT_EQ(CODE_NOT_SUPPORTED, with_device(elements[i]))
		{
			TH_LOG("%s", elements[i]);
		}
	}
	EXPECT_EQ(CODE_NOT_SUPPORTED, with("<qemu:commandline><qemu:arg value='-S'/></qemu:commandline>"));
	EXPECT_STREQ("The definition that the peer sent has <qemu:commandline>, which no other host may decide for this "
		     "one: define the domain here by hand, with `virsh define`.",
		     why.text);
	EXPECT_EQ(CODE_NOT_SUPPORTED, with("<commandline xmlns='http://libvirt.org/schemas/domain/qemu/1.0'/>"));
	EXPECT_EQ(CODE_NOT_SUPPORTED, with("<bootloader/>"));
	EXPECT_EQ(CODE_NOT_SUPPORTED, with("<launchSecurity type='sev'/>"));
	EXPECT_EQ(CODE_NOT_SUPPORTED, with("<seclabel type='none'/>"));
	EXPECT_EQ(CODE_NOT_SUPPORTED, with("<seclabel type='static' model='dac'/>"));
	EXPECT_EQ(CODE_NOT_SUPPORTED, with("<seclabel type='dynamic' model='dac'><baselabel>root:root</baselabel></seclabel>"));
}

TEST(only_the_vms_own_disks_are_taken)
{
	static const char *const others[] = {
		"<disk type='block' device='disk'><source dev='/dev/mapper/vm2-disk0'/></disk>",
		"<disk type='block' device='disk'><source dev='/dev/mapper/../sda'/></disk>",
		"<disk type='block' device='disk'><source dev='sda'/></disk>",
		"<disk type='block' device='lun'><source dev='/dev/mapper/vm1-disk0'/></disk>",
		"<disk type='file' device='cdrom'><source file='/var/lib/libvirt/images/x.iso'/></disk>",
		"<disk type='volume' device='disk'><source pool='default' volume='x'/></disk>",
		"<disk type='network' device='disk'><source protocol='nbd' name='x'/></disk>",
		"<disk type='nvme' device='disk'><source type='pci' managed='yes'/></disk>",
		"<disk type='block' device='disk' rawio='yes'><source dev='/dev/mapper/vm1-disk0'/></disk>",
		"<disk type='block' device='disk' sgio='unfiltered'><source dev='/dev/mapper/vm1-disk0'/></disk>",
		"<disk type='file'><source dev='/dev/mapper/vm1-disk0'/><backingStore type='file'><source file='/x'/></backingStore></disk>",
		"<disk type='file'><source dev='/dev/mapper/vm1-disk0'/><backingStore type='volume'><source pool='p' volume='v'/></backingStore></disk>",
		"<disk type='file'><mirror file='/etc/x'/></disk>",
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		EXPECT_EQ(CODE_NOT_SUPPORTED, with_device(others[i]))
		{
			TH_LOG("%s", others[i]);
		}
	}
	EXPECT_EQ(0, with_device("<disk type='block'><source dev='/dev/mapper/vm1-disk1' index='1'/><backingStore/></disk>"));
}

TEST(a_path_is_taken_only_where_one_may_stand)
{
	static const char *const elements[] = {
		"<serial type='file'><source path='/etc/cron.d/x'/></serial>", "<serial type='file'/>",
		"<serial type='pty'><source path='x'/></serial>", "<console type='pipe'/>", "<parallel type='dev'/>",
		"<channel type='unix'><source mode='bind' path='/run/x'/></channel>", "<redirdev bus='usb' type='tcp'/>",
		"<interface type='ethernet'/>", "<interface type='vhostuser'/>", "<interface type='hostdev'/>",
		"<interface type='network'><backend tap='/dev/net/tun'/></interface>",
		"<interface type='user'><backend type='passt' logFile='x'/></interface>",
		"<input type='evdev'><source dev='/dev/input/event0'/></input>",
		"<graphics type='spice'><gl enable='yes' rendernode='/dev/dri/renderD128'/></graphics>",
		"<graphics type='sdl'/>", "<graphics type='vnc' socket='/run/x'/>", "<audio id='1' type='file' path='x'/>",
		"<tpm><backend type='passthrough'/></tpm>", "<tpm><backend type='emulator'><source type='dir' path='x'/></backend></tpm>",
		"<rng><backend model='random'>/dev/mem</backend></rng>", "<rng><backend model='egd' type='tcp'/></rng>",
		"<rng><backend model='random'>dev/mem</backend></rng>",
	};

	for (size_t i = 0; i < ARRAY_SIZE(elements); i++) {
		EXPECT_EQ(CODE_NOT_SUPPORTED, with_device(elements[i]))
		{
			TH_LOG("%s", elements[i]);
		}
	}
	EXPECT_EQ(CODE_NOT_SUPPORTED, with("<blkiotune><device><path>/dev/sda</path></device></blkiotune>"));
	EXPECT_EQ(CODE_NOT_SUPPORTED, with("<sysinfo type='fwcfg'><entry name='x' file='/etc/shadow'/></sysinfo>"));
	EXPECT_EQ(CODE_NOT_SUPPORTED, with("<sysinfo type='fwcfg'><entry name='x' file='x'/></sysinfo>"));
}

TEST(firmware_is_the_systems_and_nvram_libvirts_own)
{
	static const char *const elements[] = {
		"<loader>/etc/shadow</loader>", "<loader>/usr/../etc/shadow</loader>", "<kernel>/boot/vmlinuz</kernel>",
		"<initrd>/boot/x</initrd>", "<acpi><table type='slic'>/etc/shadow</table></acpi>",
		"<nvram template='/etc/shadow'>/var/lib/libvirt/qemu/nvram/vm1_VARS.fd</nvram>",
		"<nvram>/etc/passwd</nvram>", "<nvram>/var/lib/libvirt/qemu/nvram/vm2_VARS.fd</nvram>",
		"<nvram>/var/lib/libvirt/qemu/nvram/vm1_VARS.</nvram>",
		"<nvram>/var/lib/libvirt/qemu/nvram/vm1_VARS.x/../../../../../etc/passwd</nvram>",
		"<nvram>/var/lib/libvirt/qemu/nvram/../nvram/vm1_VARS.fd</nvram>", "<nvram>vm1_VARS.fd</nvram>",
		"<nvram type='block'><source dev='/dev/sda'/></nvram>", "<nvram type='network'/>",
		"<nvram type='file'><source file='/etc/passwd'/></nvram>",
	};

	for (size_t i = 0; i < ARRAY_SIZE(elements); i++) {
		EXPECT_EQ(CODE_NOT_SUPPORTED, with_os(elements[i]))
		{
			TH_LOG("%s", elements[i]);
		}
	}
}

TEST(only_an_emulator_of_the_system_is_taken)
{
	EXPECT_EQ(0, with_device("<emulator>/usr/libexec/qemu-kvm</emulator>"));
	EXPECT_EQ(0, with_device("<emulator>/usr/bin/kvm</emulator>"));
	EXPECT_EQ(CODE_NOT_SUPPORTED, with_device("<emulator>/usr/bin/sh</emulator>"));
	EXPECT_EQ(CODE_NOT_SUPPORTED, with_device("<emulator>/tmp/qemu-system-x86_64</emulator>"));
	EXPECT_EQ(CODE_NOT_SUPPORTED, with_device("<emulator>/usr/bin/../../tmp/qemu-x</emulator>"));
	EXPECT_EQ(CODE_NOT_SUPPORTED, with_device("<emulator>qemu-system-x86_64</emulator>"));
}

/* What libvirt would read, and what was checked, are one. */
TEST(what_two_parsers_may_read_differently_is_refused)
{
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, check("<?xml version='1.0' encoding='UTF-7'?><domain>" IDS "</domain>"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, check("<!DOCTYPE domain [<!ENTITY x '/etc'>]><domain>" IDS "</domain>"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE,
		  with_os("<nvram>/var/lib/libvirt/qemu/nvram/vm1_VARS.fd<x/>/../../../../../etc/passwd</nvram>"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, with_os("<loader>/etc/shadow<x/></loader>"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, with_os("<nvram><x/>/var/lib/libvirt/qemu/nvram/vm1_VARS.fd</nvram>"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, with_os("<nvram>/var/lib/libvirt/qemu/nvram/vm1_VARS.fd</nvram>"
						    "<nvram>/var/lib/libvirt/qemu/nvram/vm1_VARS.fd</nvram>"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, with("<uuid>" UUID "</uuid>"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, with("<name>vm2</name>"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, check("<domain>" IDS "</domain><domain/>"));
	EXPECT_EQ(CODE_NOT_SUPPORTED, with("<os><loader>/usr/<!-- -->../etc/shadow</loader></os>"));
}

TEST(what_is_no_domain_is_refused)
{
	char deep[1024] = "";

	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, check(""));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, check("vm1"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, check("<network>" IDS "</network>"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, check("<domain><name>vm1</name></domain>"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, check("<domain><uuid>" UUID "</uuid></domain>"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, check("<domain><name>vm1</name><uuid>vm1</uuid></domain>"));
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, check("<domain>" IDS "<devices>"));
	for (int i = 0; i < 30; i++)
		(void)strcat(deep, "<cpu>");
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, with(deep));
}

TEST(what_is_too_long_is_refused)
{
	static char text[3 << 20];
	char *at = stpcpy(text, "<domain>" IDS "<cpu>");

	memset(at, 'x', 5000);
	(void)strcpy(at + 5000, "</cpu></domain>");
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, check(text));
	at = stpcpy(text, "<domain><uuid>" UUID "</uuid><name>");
	memset(at, 'x', DOMAIN_NAME_MAX + 1);
	(void)strcpy(at + DOMAIN_NAME_MAX + 1, "</name></domain>");
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, check(text));
	memset(text, ' ', sizeof(text) - 1);
	EXPECT_EQ(CODE_INCORRECT_DATA_TYPE, check(text));
}

TEST(of_a_domain_that_is_here_already_everything_is_taken)
{
	static const char own[] = "<domain>" IDS "<os><nvram>/data/vm1.fd</nvram></os><devices><hostdev/>"
				  "<emulator>/opt/qemu</emulator></devices></domain>";

	static char text[8192];
	char *at = stpcpy(text, "<domain><launchSecurity><session>");

	ASSERT_EQ(0, domain_xml_parse(own, &found, NULL));
	EXPECT_STREQ("/data/vm1.fd", found.nvram);
	memset(at, 'x', 5000);
	(void)strcpy(at + 5000, "</session></launchSecurity>" IDS "</domain>");
	EXPECT_EQ(0, domain_xml_parse(text, &found, NULL));
}

TEST_HARNESS_MAIN
