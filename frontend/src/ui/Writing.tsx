import { InputBase, type InputBaseProps } from "@mui/material";

interface Props { value: string; placeholder: string; onWrite: (text: string) => void; minRows: number; maxRows: number; sx: InputBaseProps["sx"]; inputRef?: InputBaseProps["inputRef"]; id?: string; autoFocus?: boolean; onKeyDown?: InputBaseProps["onKeyDown"]; input?: InputBaseProps["inputProps"] }

/** Where the browser itself lets a field grow with its words; else MUI lays a hidden copy of them out with every key. */
const growsByItself = typeof CSS !== "undefined" && CSS.supports("field-sizing", "content");

/** The field that one writes into at length: it grows with the words and has no frame, which the card around it is. */
export function Writing({ value, placeholder, onWrite, minRows, maxRows, sx, inputRef, id, autoFocus, onKeyDown, input }: Props) {
  const grows = growsByItself ? ({ inputComponent: "textarea" } as const) : { minRows, maxRows };
  return (
    <InputBase
      id={id} inputRef={inputRef} multiline {...grows} fullWidth autoFocus={autoFocus} value={value} placeholder={placeholder} onKeyDown={onKeyDown}
      onChange={(event) => onWrite(event.target.value)}
      inputProps={{ spellCheck: true, ...(growsByItself && { style: { fieldSizing: "content", minHeight: `${minRows}lh`, maxHeight: `${maxRows}lh` } }), ...input }}
      sx={[{ "& textarea:focus-visible": { outline: "none" } }, ...(Array.isArray(sx) ? sx : [sx])]}
    />
  );
}
