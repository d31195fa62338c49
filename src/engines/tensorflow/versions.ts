/**
 * `VersionDef.producer` of the graphs this engine makes: TensorFlow 2.9's own. Later versions read it; ops and attributes are
 * those that exist from 2.9 on.
 */
export const graphProducer = 1087;
/** The tag under which the one graph of a SavedModel is found. */
export const tag = "onestep";
