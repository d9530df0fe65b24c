// Compiles only if the positions and numbers of onnx_api.h are those of the official header. Built
// where that is installed; elsewhere the tests of test_onnx.c must do.
#include <onnxruntime_c_api.h>

#include "vision/onnx_api.h"

#define SAME_POSITION(ours, theirs, position)                                                      \
    _Static_assert(offsetof(OrtApi, theirs) == offsetof(struct ort_api, ours), #theirs);
ORT_API_POSITIONS(SAME_POSITION)

_Static_assert((int)ORT_CODE_INVALID_ARGUMENT == (int)ORT_INVALID_ARGUMENT, "code");
_Static_assert((int)ORT_CODE_NO_SUCHFILE == (int)ORT_NO_SUCHFILE, "code");
_Static_assert((int)ORT_CODE_INVALID_PROTOBUF == (int)ORT_INVALID_PROTOBUF, "code");
_Static_assert((int)ORT_CODE_INVALID_GRAPH == (int)ORT_INVALID_GRAPH, "code");
_Static_assert((int)ORT_LOG_FATAL == (int)ORT_LOGGING_LEVEL_FATAL, "log level");
_Static_assert((int)ORT_OPTIMIZE_ALL == (int)ORT_ENABLE_ALL, "optimisation");
_Static_assert((int)ORT_DEVICE_ALLOCATOR == (int)OrtDeviceAllocator, "allocator");
_Static_assert((int)ORT_MEMORY_DEFAULT == (int)OrtMemTypeDefault, "memory");
_Static_assert((int)ORT_KIND_TENSOR == (int)ONNX_TYPE_TENSOR, "kind");
_Static_assert((int)ORT_ELEMENT_F32 == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, "element");
_Static_assert((int)ORT_ELEMENT_U8 == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, "element");
_Static_assert((int)ORT_ELEMENT_I64 == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, "element");
_Static_assert((int)ORT_ELEMENT_F16 == (int)ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, "element");
_Static_assert(offsetof(OrtAllocator, Alloc) == offsetof(struct ort_allocator, alloc), "Alloc");
_Static_assert(offsetof(OrtAllocator, Free) == offsetof(struct ort_allocator, free), "Free");
_Static_assert(offsetof(OrtAllocator, Info) == offsetof(struct ort_allocator, info), "Info");
