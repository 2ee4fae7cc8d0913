// SPDX-License-Identifier: GPL-2.0-or-later
#include "xfer/worker.h"

int main(int argc, char **argv)
{
	return receive_main(argc, argv);
}
