// The network as a GraphDef, the form in which TensorBoard draws graphs.
#pragma once

#include "graph/graph.h"
#include "train/protobuf.h"

namespace snug {

/// A node for each of the graph's, in scopes by the layers' paths ("layer1/0/conv1/conv"), with the shape of its output
/// (N×H×W×C, N open), what it is made of, and its parameters.
[[nodiscard]] ProtoMessage graph_def(const Graph& graph);

}  // namespace snug
