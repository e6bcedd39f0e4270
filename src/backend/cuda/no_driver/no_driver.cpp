// Stands for the driver of a GPU that is not here. cuDNN lists the engines that it compiles at run time only where a
// library named libcuda.so.1 can be opened; planning calls none of its functions, and each says that no device is
// there. Loaded only where there is no real one.
namespace {
constexpr int kNoDevice = 100;  // CUDA_ERROR_NO_DEVICE
}

// NOLINTBEGIN(readability-identifier-naming): the names are those of the driver.
extern "C" {

__attribute__((visibility("default"))) int cuDriverGetVersion(int* version) {
  *version = 13000;  // as in the property sheets
  return 0;
}

#define SNUG_SAYS_NO(name) \
  __attribute__((visibility("default"))) int name() { return kNoDevice; }

SNUG_SAYS_NO(cuInit)
SNUG_SAYS_NO(cuCtxGetCurrent)
SNUG_SAYS_NO(cuCtxGetLimit)
SNUG_SAYS_NO(cuCtxPopCurrent)
SNUG_SAYS_NO(cuCtxPushCurrent)
SNUG_SAYS_NO(cuDeviceGet)
SNUG_SAYS_NO(cuDeviceGetCount)
SNUG_SAYS_NO(cuGetErrorName)
SNUG_SAYS_NO(cuGetErrorString)
SNUG_SAYS_NO(cuKernelGetAttribute)
SNUG_SAYS_NO(cuKernelSetAttribute)
SNUG_SAYS_NO(cuLaunchCooperativeKernel)
SNUG_SAYS_NO(cuLaunchKernel)
SNUG_SAYS_NO(cuLaunchKernelEx)
SNUG_SAYS_NO(cuLibraryGetKernel)
SNUG_SAYS_NO(cuLibraryLoadData)
SNUG_SAYS_NO(cuLibraryLoadFromFile)
SNUG_SAYS_NO(cuLibraryUnload)
SNUG_SAYS_NO(cuLinkAddData)
SNUG_SAYS_NO(cuLinkComplete)
SNUG_SAYS_NO(cuLinkCreate)
SNUG_SAYS_NO(cuLinkDestroy)
SNUG_SAYS_NO(cuOccupancyMaxPotentialClusterSize)
SNUG_SAYS_NO(cuStreamGetCtx)

#undef SNUG_SAYS_NO

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
