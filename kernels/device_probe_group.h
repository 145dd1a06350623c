/* Private: the kind of probe that device_probe_group.cu has. */
#ifndef KERNELS_DEVICE_PROBE_GROUP_H
#define KERNELS_DEVICE_PROBE_GROUP_H

#include "kernels/device_kernel.h"

cudaError_t launch_probe_group(cudaLaunchConfig_t *launch, const struct device_probe *p);

#endif
