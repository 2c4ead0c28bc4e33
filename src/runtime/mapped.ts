// The model of a file in the engine, its weights mapped from the file instead of copied.
import { skeletonOf } from "../onnx/skeleton.js";
import { openSession, type Session, type SessionOptions } from "./session.js";

/**
 * Opens a file's model so that it takes hardly more memory than the pages of it that are read: for models that are run a few times.
 * The file must stay as it is until the session is closed.
 * @throws DistembError `engine` if the engine refuses the model, `input` if the file is no sound model
 */
export async function openMapped(file: string, options: SessionOptions): Promise<Session> {
	const { bytes, folder } = skeletonOf(file);
	return await openSession(bytes, { at: file, arena: false, ...options, lean: true, dataFolder: folder });
}
