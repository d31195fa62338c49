/**
 * How values would be spread over devices; on one device nothing changes.
 * @module
 */

import {
  auto,
  broadcast,
  consistentView,
  consistentViewEnabled,
  type Distribute,
  mirroredView,
  mirroredViewEnabled,
  split,
} from "../job/scope.js";

export {
  auto,
  broadcast,
  consistentView as consistentStrategy,
  consistentViewEnabled as consistentStrategyEnabled,
  type Distribute,
  mirroredView as mirroredStrategy,
  mirroredViewEnabled as mirroredStrategyEnabled,
  split,
};
