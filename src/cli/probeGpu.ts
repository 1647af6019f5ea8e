// Looks at the GPU and says what it found, as JSON. Run in a process of its own by `secateur doctor`: a driver that
// crashes takes this program down and no other.
import { SecateurError } from '../../lib/core/errors.js';
import { device } from '../../lib/core/device.js';
import { native } from '../../lib/core/native.js';

try {
  const found = JSON.parse(native.cudaDescribe()) as Record<string, unknown>;
  // Naming the device is not using it: open it and wait for it once.
  if (found['available'] === true) device('cuda');
  console.log(JSON.stringify(found));
} catch (error) {
  const { code, message } = error instanceof SecateurError ? error : { code: 'ERR_CUDA', message: String(error) };
  console.log(JSON.stringify({ available: false, code, reason: message }));
}
