/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device-mapper target "cbt": bios to block ranges, nothing more.
 *
 *	0 <sectors> cbt <origin> <store> [<#options> <option> <value> ...]
 *
 *	<origin>	block device below; the target covers all of it
 *	<store>		"-": track in RAM only; the map is lost when the device is removed
 *	block_size <n>	tracking unit in 512-byte sectors: a power of two, 8 (default) to 2048
 */
#ifndef CBT_TARGET_H
#define CBT_TARGET_H

int cbt_target_init(void);
void cbt_target_exit(void);

#endif
