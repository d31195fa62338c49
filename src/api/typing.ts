export { Bundle, Callback, ListListNumpy, ListNumpy, Numpy } from "../job/typing.js";
